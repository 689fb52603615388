// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"testing"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	k8syaml "sigs.k8s.io/yaml"
)

// sonobuoy is the part of a plugin definition of Sonobuoy that is Kubernetes'.
type sonobuoy struct {
	Config struct {
		Driver       string `json:"driver"`
		PluginName   string `json:"plugin-name"`
		ResultFormat string `json:"result-format"`
		Description  string `json:"description"`
		SourceURL    string `json:"source-url"`
	} `json:"sonobuoy-config"`
	PodSpec corev1.PodSpec   `json:"podSpec"`
	Spec    corev1.Container `json:"spec"`
}

// TestConformancePods: both ways to judge a node's daemon in its cluster mount what
// they name, end, and have no rights in the API.
func TestConformancePods(t *testing.T) {
	g := NewWithT(t)
	job := one[batchv1.Job](t, "../conformance/job.yaml", "Job").Spec
	g.Expect(*job.BackoffLimit).To(BeZero())
	g.Expect(*job.Template.Spec.AutomountServiceAccountToken).To(BeFalse())
	g.Expect(job.Template.Spec.Containers).To(HaveLen(1))
	data, err := os.ReadFile("../conformance/sonobuoy.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	var plugin sonobuoy
	g.Expect(k8syaml.UnmarshalStrict(data, &plugin)).To(Succeed())
	g.Expect(plugin.Config.Driver).To(Equal("Job"), "a container of a DaemonSet that ends is started again")
	g.Expect(plugin.Config.ResultFormat).To(Equal("junit"))
	given := corev1.Volume{Name: "results"} // Sonobuoy's own
	plugin.PodSpec.Volumes = append(plugin.PodSpec.Volumes, given)
	for name, pod := range map[string]struct {
		spec  corev1.PodSpec
		suite corev1.Container
	}{"job": {job.Template.Spec, job.Template.Spec.Containers[0]}, "sonobuoy": {plugin.PodSpec, plugin.Spec}} {
		g.Expect(pod.spec.RestartPolicy).To(Equal(corev1.RestartPolicyNever), name)
		g.Expect(pod.suite.Image).To(Equal("thicket-conformance"), "a release names the image by this name")
		g.Expect(*pod.suite.SecurityContext.Privileged).To(BeTrue(), name)
		volumes := map[string]bool{}
		for _, v := range pod.spec.Volumes {
			volumes[v.Name] = true
		}
		paths := map[string]bool{}
		for _, m := range pod.suite.VolumeMounts {
			g.Expect(volumes).To(HaveKey(m.Name), name)
			paths[m.MountPath] = true
		}
		g.Expect(paths).To(And(HaveKey("/run/multus"), HaveKey("/report"), HaveKey("/tmp")), name)
	}
}
