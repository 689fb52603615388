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
)

const (
	// burst is how many pods start at once.
	burst = 60
	// turnover is the least number of them that are replaced one by one while
	// something happens, so that addresses are given a second time.
	turnover = 50
	// inFlight is how many pods of a node are kept starting meanwhile: whenever
	// the daemon is looked at, some ADD is under way or about to be.
	inFlight = 6
	// narrow has 51 addresses for a node: few enough to be used again soon, and
	// enough for those of the pods that are still being taken down.
	narrow = `{"cniVersion":"1.0.0","name":"narrow","plugins":[{"type":"bridge","bridge":"br-narrow","ipam":{"type":"host-local",` +
		`"ranges":[[{"subnet":"10.96.0.0/24","rangeStart":"10.96.0.10","rangeEnd":"10.96.0.60"}]]}}]}`
)

// selections are what the pods of a crowd ask for, in turn.
var selections = []string{
	"narrow",
	"narrow,local",
	`[{"name":"local","interface":"left"},{"name":"narrow","interface":"right"}]`,
}

// crowd is the pods of a churn: those that live, the oldest first, and what
// addresses those that went had held, and when.
type crowd struct {
	namespace string
	started   int
	live      []string
	went      []tenure
}

// start starts one more pod on a node.
func (c *crowd) start(ctx context.Context, node string) {
	GinkgoHelper()
	name := fmt.Sprintf("p%03d", c.started)
	start(ctx, podOn(node, c.namespace, name, with(selections[c.started%len(selections)])))
	c.started++
	c.live = append(c.live, name)
}

// judge returns what a Ready pod has held until now. It had to have all its
// networks, and its network-status has to say the same.
func judge(ctx context.Context, pod *corev1.Pod) tenure {
	GinkgoHelper()
	seen := inside(ctx, pod)
	expectStatus(pod, seen)
	return tenure{pod: pod.Name, node: pod.Spec.NodeName, addresses: seen.addresses, from: seen.at, to: time.Now()}
}

// turn replaces pods until stop is closed, and turnover of them at least.
func (c *crowd) turn(ctx context.Context, stop <-chan struct{}) {
	GinkgoHelper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for stopped := false; !stopped || len(c.went) < turnover; {
		select {
		case <-ctx.Done():
			Fail(fmt.Sprintf("only %d pods were replaced: %v", len(c.went), context.Cause(ctx)))
		case <-stop:
			stopped, stop = true, nil
		case <-tick.C:
		}
		list, err := the.CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		pods := map[string]*corev1.Pod{}
		for i := range list.Items {
			pods[list.Items[i].Name] = &list.Items[i]
		}
		for _, node := range the.workers {
			c.turnOn(ctx, node, pods)
		}
	}
}

// turnOn replaces the oldest Ready pod of a node, if few enough are starting.
func (c *crowd) turnOn(ctx context.Context, node string, pods map[string]*corev1.Pod) {
	GinkgoHelper()
	oldest, starting := -1, 0
	for i, name := range c.live {
		pod := pods[name]
		switch {
		case pod == nil || pod.Spec.NodeName != node:
		case !ready(pod):
			starting++
		case oldest == -1:
			oldest = i
		}
	}
	if oldest == -1 || starting >= inFlight {
		return
	}
	name := c.live[oldest]
	c.went = append(c.went, judge(ctx, pods[name]))
	Expect(the.CoreV1().Pods(c.namespace).Delete(ctx, name, metav1.DeleteOptions{})).To(Succeed())
	c.live = append(c.live[:oldest:oldest], c.live[oldest+1:]...)
	c.start(ctx, node)
}

// turnWhile replaces pods while something happens.
func (c *crowd) turnWhile(ctx context.Context, happens func(ctx context.Context)) {
	GinkgoHelper()
	stop, ended := make(chan struct{}), make(chan struct{})
	passed := false
	go func() {
		defer close(ended)
		defer GinkgoRecover()
		c.turn(ctx, stop)
		passed = true
	}()
	func() {
		defer func() {
			close(stop)
			<-ended
		}()
		happens(ctx)
	}()
	Expect(passed).To(BeTrue(), "pods could not be replaced meanwhile; the cause is another failure of this spec")
}

// churn has pods come and go while something happens to the daemon. None may
// fail to start or to go; each has all its networks when it is Ready, and no
// address that another one has; and the daemon has to get by with its memory.
func churn(ctx context.Context, happens func(ctx context.Context)) {
	GinkgoHelper()
	c := &crowd{namespace: newNamespace(ctx)}
	define(ctx, c.namespace, "local", bridgeLocal)
	define(ctx, c.namespace, "narrow", narrow)
	started := time.Now()
	for i := range burst {
		c.start(ctx, the.workers[i%len(the.workers)])
	}
	// The first are there, the last are not.
	running(ctx, c.namespace, c.live[0])
	c.turnWhile(ctx, happens)
	tenures := c.went
	for _, name := range c.live {
		tenures = append(tenures, judge(ctx, running(ctx, c.namespace, name)))
	}
	up := time.Since(started)
	Expect(the.CoreV1().Pods(c.namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})).To(Succeed())
	awaitNoPods(ctx, c.namespace)
	fmt.Printf("%q: %d pods had all their networks within %s, %d of them in place of others; gone after %s more\n",
		CurrentSpecReport().LeafNodeText, c.started, up.Round(time.Second), len(c.went), (time.Since(started) - up).Round(time.Second))
	Expect(conflicts(tenures)).To(BeEmpty(), "addresses that two pods held at the same time")
	printRetries(ctx, c.namespace)
	for _, node := range the.workers {
		expectMemory(ctx, node)
	}
}

// printRetries says how many sandboxes the kubelet had to try again, and the
// last reason. A daemon that is killed costs those that it was working on.
func printRetries(ctx context.Context, namespace string) {
	GinkgoHelper()
	events, err := the.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "type=Warning"})
	Expect(err).NotTo(HaveOccurred())
	tries, last := 0, "nothing"
	for _, e := range events.Items {
		if e.Reason == "FailedCreatePodSandBox" || e.Reason == "FailedKillPod" {
			tries++
			last = e.Message
		}
	}
	fmt.Printf("  %d sandboxes were tried again, last because of: %s\n", tries, last)
}

// expectMemory prints the most memory that a node's daemon has had in its
// cgroup, with its delegates and its share of the page cache, and expects that
// nothing was killed for it.
func expectMemory(ctx context.Context, node string) {
	GinkgoHelper()
	var most, limit, kills int64
	out := the.do(ctx, node, `
		# A delegate bears this name too, for the moment before it is executed.
		pid=$(pgrep -o -x thicketd)
		if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
			at=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)
			cat $at/memory.peak $at/memory.max
			awk '$1 == "oom_kill" {print $2}' $at/memory.events
		else
			at=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/$pid/cgroup)
			cat $at/memory.max_usage_in_bytes $at/memory.limit_in_bytes
			awk '$1 == "oom_kill" {print $2}' $at/memory.oom_control
		fi`)
	_, err := fmt.Sscan(out, &most, &limit, &kills)
	Expect(err).NotTo(HaveOccurred(), out)
	fmt.Printf("  %s: at most %.1f MiB of %d MiB, %d killed for memory\n", node, float64(most)/(1<<20), limit>>20, kills)
	Expect(limit).To(Equal(int64(50 << 20)))
	Expect(kills).To(BeZero())
}
