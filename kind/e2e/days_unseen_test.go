// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The DaemonSet's mount of the nodes' network namespaces, and a mistake there:
// the daemon sees an empty directory in their place.
const (
	namespacesMounted = `{"name":"netns","emptyDir":null,"hostPath":{"path":"/run/netns","type":"DirectoryOrCreate"}}`
	namespacesHidden  = `{"name":"netns","hostPath":null,"emptyDir":{}}`
)

var _ = Describe("a day", Serial, func() {
	It("on which the daemon does not see the pods' namespaces", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		names := startMany(ctx, ns, 10)
		for _, name := range names {
			running(ctx, ns, name)
		}
		before := countAll(ctx)
		old := the.daemons(ctx)
		DeferCleanup(func(ctx SpecContext) {
			the.patchNamespaces(ctx, namespacesMounted, "1")
			the.awaitDaemons(ctx)
		})

		By("daemons of which none is ready, and none takes the pods for gone")
		the.patchNamespaces(ctx, namespacesHidden, `"100%"`)
		for _, node := range the.workers {
			Eventually(func(g Gomega) {
				g.Expect(the.daemons(ctx)[node].UID).NotTo(Equal(old[node].UID))
				g.Expect(the.readyz(ctx, node)).To(Equal("503"))
			}).WithContext(ctx).Should(Succeed())
		}
		Consistently(func(g Gomega) {
			// There may be more for a moment: the runtime still removes sandboxes of
			// earlier days, and each DEL of one that is not recorded is recorded meanwhile.
			now := countAll(ctx)
			for node, had := range before {
				g.Expect(now[node].Interfaces).To(BeNumerically(">=", had.Interfaces), "interfaces on %s", node)
				g.Expect(now[node].Leases).To(BeNumerically(">=", had.Leases), "leases on %s", node)
				g.Expect(now[node].Records).To(BeNumerically(">=", had.Records), "records on %s", node)
			}
			for _, node := range the.workers {
				g.Expect(the.readyz(ctx, node)).To(Equal("503"))
			}
		}, 5*time.Second).WithContext(ctx).Should(Succeed())

		By("daemons that see them again: every pod has what it had, and new ones get other addresses")
		the.patchNamespaces(ctx, namespacesMounted, "1")
		the.awaitDaemons(ctx)
		for _, node := range the.workers {
			the.awaitNode(ctx, node, "True")
			for i := range 5 {
				name := fmt.Sprintf("late%d-%s", i, node)
				start(ctx, podOn(node, ns, name, with("local")))
				names = append(names, name)
			}
		}
		var tenures []tenure
		for _, name := range names {
			tenures = append(tenures, judge(ctx, running(ctx, ns, name)))
		}
		Expect(conflicts(tenures)).To(BeEmpty(), "addresses that two pods held at the same time")
	})
})

// patchNamespaces changes the volume of the namespaces, and how many nodes'
// daemons may be away: those that are not ready do not let a rollout go on.
func (c *cluster) patchNamespaces(ctx context.Context, volume, unavailable string) {
	GinkgoHelper()
	_, err := c.kubectl(ctx, "", "patch", "-n", daemonNamespace, "daemonset", daemonSet, "-p",
		fmt.Sprintf(`{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":%s}},"template":{"spec":{"volumes":[%s]}}}}`, unavailable, volume))
	Expect(err).NotTo(HaveOccurred())
}

// readyz returns the status with which a node's daemon answers its probe.
func (c *cluster) readyz(ctx context.Context, node string) (string, error) {
	return c.onNode(ctx, node, "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:9093/readyz")
}
