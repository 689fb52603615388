// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Days in the life of a node: what happens to every cluster sooner or later,
// while its pods come and go.
var _ = Describe("a day", Serial, func() {
	It("on which the DaemonSet is rolled over", func(ctx SpecContext) {
		churn(ctx, func(ctx context.Context) {
			the.patchDaemonSet(ctx, fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"e2e/restarted":%q}}}}}`, time.Now().String()))
			the.awaitDaemons(ctx)
		})
	})

	It("on which Thicket is upgraded", func(ctx SpecContext) {
		image := the.daemonImage(ctx)
		next := image + "-next"
		DeferCleanup(func(ctx SpecContext) { installThicket(ctx, image) })
		nodes, err := the.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		for _, node := range nodes.Items {
			the.do(ctx, node.Name, "ctr --namespace k8s.io images tag --force "+image+" "+next)
		}
		churn(ctx, func(ctx context.Context) {
			before := the.daemons(ctx)
			installThicket(ctx, next)
			for node, daemon := range the.daemons(ctx) {
				Expect(daemon.UID).NotTo(Equal(before[node].UID), "the daemon of %s is the old one", node)
			}
		})
	})

	It("on which the daemon is killed", func(ctx SpecContext) {
		churn(ctx, func(ctx context.Context) {
			before := the.daemons(ctx)
			for _, node := range the.workers {
				the.do(ctx, node, "kill -9 $(pgrep -x thicketd)")
			}
			for _, node := range the.workers {
				Eventually(func() int32 { return the.daemons(ctx)[node].Status.ContainerStatuses[0].RestartCount }).WithContext(ctx).
					Should(Equal(before[node].Status.ContainerStatuses[0].RestartCount + 1))
			}
			the.awaitDaemons(ctx)
		})
	})

	It("on which the shim is replaced under load", func(ctx SpecContext) {
		churn(ctx, func(ctx context.Context) {
			for range 10 {
				for _, node := range the.workers {
					daemon := the.daemons(ctx)[node]
					out, err := the.inPod(ctx, &daemon, "/thicketd", "install", "--dest", "/hostroot/opt/cni/bin")
					Expect(err).NotTo(HaveOccurred())
					Expect(out).To(ContainSubstring("installed /hostroot/opt/cni/bin/thicket-shim"))
				}
			}
		})
	})

	It("on which the daemon is away while pods are force-deleted", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		define(ctx, ns, "local", bridgeLocal)
		names := startMany(ctx, ns, 20)
		for _, name := range names {
			running(ctx, ns, name)
		}
		DeferCleanup(func(ctx SpecContext) {
			the.patchDaemonSet(ctx, `{"spec":{"template":{"spec":{"nodeSelector":null}}}}`)
			the.awaitDaemons(ctx)
		})
		the.patchDaemonSet(ctx, `{"spec":{"template":{"spec":{"nodeSelector":{"e2e/none":"here"}}}}}`)
		Eventually(func() int { return len(the.daemons(ctx)) }).WithContext(ctx).Should(BeZero())
		Expect(the.CoreV1().Pods(ns).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}, metav1.ListOptions{})).To(Succeed())
		awaitNoPods(ctx, ns)
		records := 0
		for _, c := range countAll(ctx) {
			records += c.Records
		}
		Expect(records).To(Equal(len(names)), "nobody was there to forget the sandboxes")
		fmt.Printf("while the daemon is away: %d records\n", records)
	})

	It("on which a worker is switched off and on", func(ctx SpecContext) {
		ns, node := newNamespace(ctx), the.workers[0]
		define(ctx, ns, "local", bridgeLocal)
		names := startMany(ctx, ns, 20)
		address := map[string]string{}
		for _, name := range names {
			address[name] = attachment(running(ctx, ns, name), "net1").IPs[0]
		}
		before, err := countOn(ctx, node)
		Expect(err).NotTo(HaveOccurred())
		boot := the.do(ctx, node, "stat -c %Y /proc/1")
		_, err = command(ctx, "", "docker", "restart", "--time", "0", node)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() (string, error) { return the.onNode(ctx, node, "stat -c %Y /proc/1; pgrep -x kubelet") }).WithContext(ctx).
			ShouldNot(HavePrefix(boot))
		_, err = command(ctx, "", repository("kind/nodes"))
		Expect(err).NotTo(HaveOccurred())
		the.joinUplinks(ctx, node)
		the.awaitNode(ctx, node, corev1.ConditionTrue)
		the.awaitDaemons(ctx)
		Eventually(func(g Gomega) {
			after, err := countOn(ctx, node)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(after).To(Equal(before), "the dead sandboxes' share and nothing else is reclaimed")
			for _, name := range names {
				pod, err := the.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(ready(pod)).To(BeTrue(), name)
				if pod.Spec.NodeName == node {
					g.Expect(attachment(pod, "net1").IPs[0]).NotTo(Equal(address[name]), "%s is still the dead sandbox's", name)
				}
			}
		}, "4m").WithContext(ctx).Should(Succeed())
		var tenures []tenure
		for _, name := range names {
			tenures = append(tenures, judge(ctx, running(ctx, ns, name)))
		}
		Expect(conflicts(tenures)).To(BeEmpty(), "addresses that two pods held at the same time")
	})
})

// startMany starts pods with a second network, in turn on each worker.
func startMany(ctx context.Context, namespace string, number int) []string {
	GinkgoHelper()
	var names []string
	for i := range number {
		name := fmt.Sprintf("p%02d", i)
		start(ctx, podOn(the.workers[i%len(the.workers)], namespace, name, with("local")))
		names = append(names, name)
	}
	return names
}
