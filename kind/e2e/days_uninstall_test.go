// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The way of kind/README.md that leads away from Thicket.
var _ = Describe("a day", Serial, func() {
	It("on which Thicket is uninstalled", func(ctx SpecContext) {
		image := the.daemonImage(ctx)
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		run(ctx, podOn(the.workers[0], ns, "before", with("local")))
		Expect(the.CoreV1().Pods(ns).Delete(ctx, "before", metav1.DeleteOptions{})).To(Succeed())
		awaitNoPods(ctx, ns)
		DeferCleanup(func(ctx SpecContext) {
			_, err := the.kubectl(ctx, "", "delete", "-n", daemonNamespace, "daemonset", "thicket-uninstall", "--ignore-not-found", "--wait")
			Expect(err).NotTo(HaveOccurred())
			installThicket(ctx, image)
		})

		By("a daemon that is away leaves the configuration: pods wait for it")
		removeThicket(ctx)
		for _, node := range the.workers {
			Expect(thicketOn(ctx, node)).To(ConsistOf("/etc/cni/net.d/00-multus.conf", "/opt/cni/bin/thicket-shim", "/opt/cni/bin/thicket-passthrough"))
		}

		By("the overlay cleans every node, and pods get the default network from its own plugin")
		manifests, err := the.kubectl(ctx, "", "kustomize", repository("kind/manifests/uninstall"))
		Expect(err).NotTo(HaveOccurred())
		the.apply(ctx, strings.ReplaceAll(manifests, "image: thicket\n", "image: "+image+"\n"))
		_, err = the.kubectl(ctx, "", "rollout", "status", "-n", daemonNamespace, "daemonset/thicket-uninstall", "--timeout=2m")
		Expect(err).NotTo(HaveOccurred())
		for _, node := range the.workers {
			Expect(thicketOn(ctx, node)).To(BeEmpty())
			the.awaitNode(ctx, node, "True")
			run(ctx, podOn(node, ns, "after-"+node, nil))
		}
	})
})

// thicketOn lists what a node has of Thicket where its runtime looks.
func thicketOn(ctx context.Context, node string) []string {
	GinkgoHelper()
	return strings.Fields(the.do(ctx, node, "shopt -s nullglob; echo /etc/cni/net.d/00-multus* /opt/cni/bin/thicket-*"))
}
