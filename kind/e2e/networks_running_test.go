// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A network beside bridgeLocal, and how soon a running pod has what its
// annotation says.
const (
	bridgeMore  = `{"cniVersion":"1.0.0","name":"more","plugins":[{"type":"bridge","bridge":"br-more","ipam":{"type":"host-local","ranges":[[{"subnet":"10.95.0.0/16"}]]}}]}`
	plugLimit   = 5 * time.Second
	plugAddress = "10.95."
)

var _ = Describe("a running pod", Serial, func() {
	It("gets and loses networks when its annotation changes, also while the daemon restarts", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		define(ctx, ns, "more", bridgeMore)
		pod := run(ctx, podOn(the.workers[0], ns, "edited", with("local")))
		first := attachment(pod, "net1").IPs

		By("a second network")
		annotate(ctx, pod, "local,more")
		Eventually(addressesOf(pod, "net2"), plugLimit).WithContext(ctx).Should(ContainSubstring(plugAddress))
		Eventually(shownIn(pod)).WithContext(ctx).Should(ConsistOf("eth0", "net1", "net2"))

		By("without it again")
		annotate(ctx, pod, "local")
		Eventually(addressesOf(pod, "net2"), plugLimit).WithContext(ctx).ShouldNot(ContainSubstring(plugAddress))
		Eventually(shownIn(pod)).WithContext(ctx).Should(ConsistOf("eth0", "net1"))

		By("one in place of the other, while the node's daemon restarts")
		old := the.daemons(ctx)[the.workers[0]]
		Expect(the.CoreV1().Pods(daemonNamespace).Delete(ctx, old.Name, metav1.DeleteOptions{})).To(Succeed())
		annotate(ctx, pod, "more@more0")
		the.awaitDaemons(ctx)
		Eventually(addressesOf(pod, "more0")).WithContext(ctx).Should(ContainSubstring(plugAddress))
		Eventually(addressesOf(pod, "net1")).WithContext(ctx).ShouldNot(ContainSubstring(first[0]))
		Eventually(shownIn(pod)).WithContext(ctx).Should(ConsistOf("eth0", "more0"))
	})
})

// annotate changes what a running pod asks for.
func annotate(ctx context.Context, pod *corev1.Pod, networks string) {
	GinkgoHelper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": with(networks)}})
	Expect(err).NotTo(HaveOccurred())
	_, err = the.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	Expect(err).NotTo(HaveOccurred())
}

// addressesOf is what a pod sees of an interface, nothing when it has none.
func addressesOf(pod *corev1.Pod, ifName string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		return the.inPod(ctx, pod, "sh", "-c", "ip -4 address show "+ifName+" 2>/dev/null || true")
	}
}

// shownIn lists the interfaces in a pod's network-status.
func shownIn(pod *corev1.Pod) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		now, err := the.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		var names []string
		for _, s := range statusOf(now) {
			names = append(names, s.Interface)
		}
		return names, nil
	}
}
