// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	networksAnnotation       = "k8s.v1.cni.cncf.io/networks"
	statusAnnotation         = "k8s.v1.cni.cncf.io/network-status"
	defaultNetworkAnnotation = "v1.multus-cni.io/default-network"
	podImage                 = "docker.io/library/busybox:thicket"
)

// newNamespace makes a namespace; all in it is gone, and nothing of it left on
// the nodes, when the spec ends.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	before := countAll(ctx)
	made, err := the.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx SpecContext) {
		Expect(the.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{})).To(Succeed())
		awaitNoPods(ctx, made.Name)
		expectNoLeaks(ctx, before)
	})
	// A pod is refused until its namespace has a service account.
	Eventually(func() error {
		_, err := the.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	}).WithContext(ctx).Should(Succeed())
	return made.Name
}

// define makes a network definition.
func define(ctx context.Context, namespace, name, config string) {
	GinkgoHelper()
	data, err := json.Marshal(map[string]any{
		"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
		"metadata": map[string]string{"namespace": namespace, "name": name}, "spec": map[string]string{"config": config},
	})
	Expect(err).NotTo(HaveOccurred())
	the.apply(ctx, string(data))
}

// podOn describes a pod that waits on a node, and keeps a record of its networks.
func podOn(node, namespace, name string, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: annotations},
		Spec: corev1.PodSpec{
			NodeName: node, TerminationGracePeriodSeconds: ptr.To[int64](0), AutomountServiceAccountToken: ptr.To(false),
			EnableServiceLinks: ptr.To(false),
			Containers: []corev1.Container{{Name: "wait", Image: podImage, ImagePullPolicy: corev1.PullNever,
				Command: []string{"/bin/sh", "-c", lookScript}}},
		},
	}
}

// with is the networks annotation.
func with(networks string) map[string]string { return map[string]string{networksAnnotation: networks} }

func start(ctx context.Context, pod *corev1.Pod) {
	GinkgoHelper()
	_, err := the.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
}

// running waits until a pod is ready and returns it as it is then: with all the
// networks that it asked for.
func running(ctx context.Context, namespace, name string) *corev1.Pod {
	GinkgoHelper()
	var pod *corev1.Pod
	Eventually(func(g Gomega) {
		var err error
		pod, err = the.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(ready(pod)).To(BeTrue(), "%s is %s", name, pod.Status.Phase)
	}).WithContext(ctx).Should(Succeed())
	inside(ctx, pod)
	return pod
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// run starts a pod and waits until it is ready.
func run(ctx context.Context, pod *corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	start(ctx, pod)
	return running(ctx, pod.Namespace, pod.Name)
}

// statusOf reads a pod's network-status.
func statusOf(pod *corev1.Pod) []nadv1.NetworkStatus {
	GinkgoHelper()
	var status []nadv1.NetworkStatus
	Expect(json.Unmarshal([]byte(pod.Annotations[statusAnnotation]), &status)).To(Succeed(), "%q", pod.Annotations[statusAnnotation])
	return status
}

// attachment returns the entry of an interface.
func attachment(pod *corev1.Pod, ifname string) nadv1.NetworkStatus {
	GinkgoHelper()
	for _, s := range statusOf(pod) {
		if s.Interface == ifname {
			return s
		}
	}
	Fail(fmt.Sprintf("%s has no %s in its network-status %s", pod.Name, ifname, pod.Annotations[statusAnnotation]))
	return nadv1.NetworkStatus{}
}

// expectPing is a ping from one pod to an address through one interface.
func expectPing(ctx context.Context, from *corev1.Pod, ifname, address string) {
	GinkgoHelper()
	Eventually(func() error {
		_, err := the.inPod(ctx, from, "ping", "-c", "1", "-W", "2", "-I", ifname, address)
		return err
	}, "20s").WithContext(ctx).Should(Succeed())
}

// awaitNoPods returns when a namespace has no pod.
func awaitNoPods(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pods, err := the.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		var left []string
		for _, p := range pods.Items {
			left = append(left, p.Name)
		}
		g.Expect(left).To(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}
