// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var lateStatusCases = []thick.Case{
	{
		ID: "RES-14", Level: spec.Should, Source: "#1346, #920", Body: statusLater, Slow: 20 * time.Second, Timeout: 480 * time.Second,
		Needs: []spec.Feature{thick.FeatureKubernetes, thick.FeatureRestart, thick.FeatureKill},
		Title: "While the API server is away the ADD of a pod that is known succeeds; its network-status is written later, also by the next daemon, and none stays of a sandbox that is gone",
	},
}

const (
	// lateSandboxes are added while the API server is away.
	lateSandboxes = 50
	// lateAdd is how long such an ADD may take: an API server that says nothing
	// may be waited for, but not until the runtime gives up.
	lateAdd = 20 * time.Second
	// lateStatus is how long a status may be missing when the API server is back.
	lateStatus = 60 * time.Second
	// outageVariable has the API server away for longer, such as "60s".
	outageVariable = "THICKET_OUTAGE"
)

// statusLater is RES-14: connections are refused and the daemon is killed
// meanwhile; then nothing is answered, and the daemon goes on.
func statusLater(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	d := e.Start(ctx)
	var all, silent []*node.Sandbox
	for range lateSandboxes {
		all = append(all, e.Sandbox(node.Networks("blue")))
	}
	for range 5 {
		silent = append(silent, e.Sandbox(node.Networks("blue")))
	}
	expect.Warm(ctx, e, "blue")
	var shown []*node.Sandbox
	for range 2 {
		s := e.Sandbox(node.Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		shown = append(shown, s)
	}
	expectStatuses(ctx, e, shown)

	ginkgo.By(fmt.Sprintf("%d ADDs while the API server is away", lateSandboxes))
	began := time.Now()
	e.ClusterAway()
	inParallel(all, func(s *node.Sandbox) { addLate(ctx, e, s) })
	deleted, replaced := all[0], all[1]
	e.MustOK(e.Del(ctx, deleted))
	e.MustOK(e.Del(ctx, shown[0]))
	second := secondSandbox(e, replaced)
	addLate(ctx, e, second)
	longer(ctx, began)
	ginkgo.By("the daemon is killed, and the API server comes back")
	d.Kill()
	d = e.Start(ctx, thick.WithoutWaiting())
	e.ClusterBack()
	e.AwaitServing(ctx, d)
	expectStatuses(ctx, e, slices.Concat(all[2:], []*node.Sandbox{second}))
	expectWithdrawn(ctx, e, shown[0])
	Consistently(func() int { return len(e.Status(deleted)) }).WithContext(ctx).WithTimeout(2*time.Second).
		Should(BeZero(), "elements of the status of a sandbox that is gone")
	e.MustOK(e.Del(ctx, replaced))
	Consistently(func() []string { return wrongStatus(e, second) }).WithContext(ctx).WithTimeout(time.Second).
		Should(BeEmpty(), "the pod whose first sandbox is gone")

	ginkgo.By("an API server that says nothing, and is back for the same daemon")
	expect.Warm(ctx, e, "blue")
	e.ClusterSilent()
	inParallel(silent, func(s *node.Sandbox) { addLate(ctx, e, s) })
	e.MustOK(e.Del(ctx, shown[1]))
	e.MustOK(e.Del(ctx, silent[0])) // last, as its withdrawal must not be held beside its status
	e.ClusterBack()
	expectStatuses(ctx, e, silent[1:])
	expectWithdrawn(ctx, e, shown[1])
	Consistently(func() int { return len(e.Status(silent[0])) }).WithContext(ctx).WithTimeout(2*time.Second).
		Should(BeZero(), "elements of the status of a sandbox that is gone")
	inParallel(slices.Concat(all[2:], silent[1:], []*node.Sandbox{second}), func(s *node.Sandbox) { e.MustOK(e.Del(ctx, s)) })
	e.Notef("%d of %d ADDs succeeded without an API server, and their statuses were right afterwards", len(all)+1+len(silent), len(all)+1+len(silent))
}

// longer keeps an outage up for as long as outageVariable says.
func longer(ctx context.Context, began time.Time) {
	ginkgo.GinkgoHelper()
	text := os.Getenv(outageVariable)
	if text == "" {
		return
	}
	outage, err := time.ParseDuration(text)
	Expect(err).NotTo(HaveOccurred(), outageVariable)
	select {
	case <-time.After(time.Until(began.Add(outage))):
	case <-ctx.Done():
	}
}

// addLate asserts that an ADD succeeds without an API server.
func addLate(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	expect.InTime(ctx, e, e.Request("ADD", s), lateAdd, "an ADD of a pod that is known, while the API server is away")
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1"), "interfaces of an ADD while the API server is away")
}

// secondSandbox makes another sandbox of the same pod.
func secondSandbox(e *thick.Env, of *node.Sandbox) *node.Sandbox {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.WithoutPod(), node.PodNamespace(of.PodNamespace), node.PodName(of.PodName))
	s.PodUID = of.PodUID
	return s
}

// expectStatuses awaits that each pod shows what its sandbox has.
func expectStatuses(ctx context.Context, e *thick.Env, all []*node.Sandbox) {
	ginkgo.GinkgoHelper()
	Eventually(func() []string {
		var wrong []string
		for _, s := range all {
			wrong = append(wrong, wrongStatus(e, s)...)
		}
		return wrong
	}).WithContext(ctx).WithTimeout(lateStatus).WithPolling(time.Second).Should(BeEmpty(),
		"network-status when the API server is back")
}

// expectWithdrawn awaits that a pod, which is still there, does not show what its
// sandbox had that was deleted while the API server was away.
func expectWithdrawn(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Eventually(func() int { return len(e.Status(s)) }).WithContext(ctx).WithTimeout(lateStatus).WithPolling(500*time.Millisecond).
		Should(BeZero(), "elements of the status that pod %s showed before its sandbox was deleted, while the API server was away", s.PodName)
}

// wrongStatus says what a pod's network-status has wrong: an element for each of
// the sandbox's interfaces, with its mac, is right.
func wrongStatus(e *thick.Env, s *node.Sandbox) []string {
	ginkgo.GinkgoHelper()
	shown := map[string]any{}
	for _, element := range e.Status(s) {
		name, _ := element["interface"].(string)
		shown[name] = element["mac"]
	}
	var wrong []string
	for _, i := range s.Interfaces() {
		if shown[i.Name] != i.MAC {
			wrong = append(wrong, fmt.Sprintf("pod %s: %s has mac %s and is shown with %v", s.PodName, i.Name, i.MAC, shown[i.Name]))
		}
		delete(shown, i.Name)
	}
	for name := range shown {
		wrong = append(wrong, fmt.Sprintf("pod %s: %s is shown and is not there", s.PodName, name))
	}
	return wrong
}
