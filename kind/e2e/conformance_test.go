// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const conformanceImage = "docker.io/library/thicket-conformance:dev"

// The suite judges the daemon that serves the node: what cannot hurt it is
// asked, and the rest is counted as skipped, with the reason.
var _ = Describe("the conformance suite in a pod", func() {
	It("passes on each worker, and leaves a report per node", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		for _, node := range the.workers {
			start(ctx, suiteOn(node, ns))
		}
		for _, node := range the.workers {
			var phase corev1.PodPhase
			Eventually(func() (bool, error) {
				pod, err := the.CoreV1().Pods(ns).Get(ctx, "suite-"+node, metav1.GetOptions{})
				if err == nil {
					phase = pod.Status.Phase
				}
				return phase == corev1.PodSucceeded || phase == corev1.PodFailed, err
			}, "8m").WithContext(ctx).Should(BeTrue())
			said, err := the.kubectl(ctx, "", "logs", "-n", ns, "suite-"+node)
			Expect(err).NotTo(HaveOccurred())
			// Why each case is skipped is in the report.
			for line := range strings.Lines(said) {
				if !strings.Contains(line, "  skipped  ") {
					fmt.Print(node + " " + line)
				}
			}
			Expect(os.MkdirAll(repository("report"), 0o750)).To(Succeed())
			report := the.do(ctx, node, "cat /var/log/thicket-conformance/report.json")
			Expect(os.WriteFile(repository("report/conformance-"+node+".json"), []byte(report), 0o600)).To(Succeed())
			Expect(json.Valid([]byte(report))).To(BeTrue())
			Expect(phase).To(Equal(corev1.PodSucceeded), "a MUST failed on %s", node)
		}
	})
})

// suiteOn describes a pod that judges a node's daemon over its socket.
func suiteOn(node, namespace string) *corev1.Pod {
	pod := podOn(node, namespace, "suite-"+node, nil)
	pod.Spec.RestartPolicy, pod.Spec.HostNetwork = corev1.RestartPolicyNever, true
	directory := corev1.HostPathDirectoryOrCreate
	mounts := map[string]corev1.VolumeSource{
		"/run/multus": {HostPath: &corev1.HostPathVolumeSource{Path: "/run/multus"}},
		"/report":     {HostPath: &corev1.HostPathVolumeSource{Path: "/var/log/thicket-conformance", Type: &directory}},
		"/tmp":        {EmptyDir: &corev1.EmptyDirVolumeSource{}},
	}
	suite := corev1.Container{
		Name: "suite", Image: conformanceImage, ImagePullPolicy: corev1.PullNever,
		Args: []string{"run", "--target", "socket:/run/multus", "--report", "/report"},
		// Each case makes namespaces of its own.
		SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)},
	}
	for path, source := range mounts {
		name := path[1:4]
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
		suite.VolumeMounts = append(suite.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
	}
	pod.Spec.Containers = []corev1.Container{suite}
	return pod
}
