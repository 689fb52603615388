// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var hangsCases = []thick.Case{{
	ID: "CHECK-08", Level: spec.Must, Source: "ADD-08 for every command", Body: hangsAtEveryCommand, Slow: 6 * time.Second,
	Title: "A delegate that hangs at CHECK, DEL, GC or STATUS is ended, with its children, at its time limit",
}}

// hangsAtEveryCommand is CHECK-08. Each delegate hangs once, so that the next
// request shows that nothing is held any more.
func hangsAtEveryCommand(ctx context.Context, e *thick.Env) {
	const limit = 2 * time.Second // in which every other delegate has to start and end
	e.RealInterfaces()
	hang := script.FakeStep{Hang: true, Child: true, Times: 1}
	e.Definition("hanging", e.FakeList("hanging", script.Fake{Check: hang, Del: hang}))
	e.Start(ctx, thick.DelegateTimeout(limit))
	s := e.Sandbox(node.Networks("hanging"))
	e.MustOK(e.Add(ctx, s))
	for _, command := range []string{"CHECK", "DEL"} {
		ginkgo.By("a delegate that hangs at " + command)
		a := expect.AwaitAnswer(e.Async(ctx, e.Request(command, s)))
		_ = expect.Refused(a)
		expectEnded(e, command, limit)
		e.MustOK(expect.AwaitAnswer(e.Async(ctx, e.Request(command, s))))
	}
	Expect(e.Leftovers(s)).To(BeEmpty(), "what the second DEL left")

	if e.Supports(thick.FeatureGC) {
		ginkgo.By("a delegate that hangs at GC")
		e.DefaultNetwork(expect.Versioned(e.FakeList("default", script.Fake{GC: hang}), "1.1.0"))
		_ = expect.Refused(expect.AwaitAnswer(e.Async(ctx, expect.GcRequest(e))))
		expectEnded(e, "GC", limit)
		e.MustOK(expect.AwaitAnswer(e.Async(ctx, expect.GcRequest(e))))
	}
	if e.Supports(thick.FeatureStatus) {
		ginkgo.By("a delegate that hangs at STATUS")
		e.DefaultNetwork(expect.Versioned(e.FakeList("default", script.Fake{Status: hang}), "1.1.0"))
		expect.AwaitAnswer(e.Async(ctx, expect.StatusRequest(e))) // a success, if the delegate was asked and ended before
		expectEnded(e, "STATUS", limit)
		expect.StatusBecomes(ctx, e, expect.WaysOf(e)[0], 0)
	}
	if e.Supports(thick.FeatureHotplug) {
		hangsAtHotplug(ctx, e, limit)
	}
}

// hangsAtHotplug is the same for DEL on /delegate.
func hangsAtHotplug(ctx context.Context, e *thick.Env, limit time.Duration) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a delegate that hangs at DEL on /delegate")
	e.DefaultNetwork(e.FakeList("default", script.Fake{}))
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	hot := e.FakeList("hot", script.Fake{Del: script.FakeStep{Hang: true, Child: true, Times: 1}})
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot0", hot))
	e.ResetCalls()
	_ = expect.Refused(expect.Hotplug(ctx, e, s, "DEL", "hot0", hot))
	expectEnded(e, "DEL", limit)
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot0", hot))
	e.MustOK(e.Del(ctx, s))
}

// expectEnded asserts that the delegate that hung had its time, and no more of
// it than a busy machine needs to end two processes.
func expectEnded(e *thick.Env, command string, limit time.Duration) {
	ginkgo.GinkgoHelper()
	now := time.Now()
	for _, c := range e.CallsOf(command) {
		if c.ChildPID == 0 {
			continue
		}
		// The plugin notes its start a moment after it was started.
		Expect(now.Sub(c.Start)).To(BeNumerically(">=", limit-limit/5), "the delegate has all of its time at %s", command)
		expect.Dead([]script.Call{c})
		return
	}
	ginkgo.Fail("no delegate was called that hangs at " + command)
}
