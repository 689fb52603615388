// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// gcPause is how long a hot-plug that comes during GC may take before it is
// taken for one that waits for the GC's end.
const gcPause = 2 * time.Second

// hotDuringGC hot-plugs while GC runs: of that the runtime, which keeps ADD
// and GC apart, knows nothing. The sandboxes are such that GC comes to one
// before and to one after the stale one that holds it up.
func hotDuringGC(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("hot-plug while GC runs")
	gate := filepath.Join(e.Dir, "gate")
	defer e.Touch(gate)
	e.Definition("held", e.FakeList("held", script.Fake{Del: script.FakeStep{WaitFor: gate}}))
	stale := e.Sandbox(node.ContainerID("7"+node.RandomHex(20)), node.Networks("held"))
	kept := []*node.Sandbox{e.Sandbox(node.ContainerID("0" + node.RandomHex(20))), e.Sandbox(node.ContainerID("f" + node.RandomHex(20)))}
	list := expect.Versioned(e.FakeList("busy", expect.RealInterface()), "1.1.0")
	for _, s := range append(kept, stale) {
		e.MustOK(e.Add(ctx, s))
		e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot0", list))
	}
	e.ResetCalls()
	collected := e.Async(ctx, expect.GcRequest(e, kept...))
	e.AwaitCalls(ctx, 1, expect.CallOf(stale, "DEL", "held"))
	var plugged []<-chan thick.Outcome
	for _, s := range kept {
		r := expect.HotplugRequest(e, s, "ADD", list)
		r.Env["CNI_IFNAME"] = "hot1"
		plugged = append(plugged, asyncDelegate(ctx, e, r))
	}
	_ = node.Await(func() []string {
		return slices.DeleteFunc([]string{kept[0].ID, kept[1].ID}, func(id string) bool {
			return slices.ContainsFunc(e.CallsOf("ADD"), func(c script.Call) bool { return c.ContainerID == id && !c.End.IsZero() })
		})
	}, gcPause)
	e.Touch(gate)
	e.MustOK(expect.AwaitAnswer(collected))
	for i, s := range kept {
		e.MustOK(expect.AwaitAnswer(plugged[i]))
		Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(BeEmpty(), "DEL of a sandbox that is named")
		Expect(s.InterfaceNames()).To(ConsistOf("eth0", "hot0", "hot1"), "interfaces of a sandbox that is named")
		expectAttachments(ctx, e, s, "default eth0", "busy hot0", "busy hot1")
		expectValidSince(e, s)
	}
	Expect(e.Leftovers(stale)).To(BeEmpty(), "what GC left")
}

// asyncDelegate is Async for /delegate.
func asyncDelegate(ctx context.Context, e *thick.Env, r *api.Request) <-chan thick.Outcome {
	out := make(chan thick.Outcome, 1)
	go func() {
		a, err := e.TryPost(ctx, api.MultusDelegateAPIEndpoint, r)
		out <- thick.Outcome{Answer: a, Err: err}
	}()
	return out
}

// expectValidSince asserts that the delegate's GC named what it had attached
// before, lest it releases that by itself.
func expectValidSince(e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	collecting := slices.DeleteFunc(e.CallsOf("GC"), func(c script.Call) bool { return c.Network != "busy" })
	Expect(collecting).To(HaveLen(1), "GC of the hot-plugged network")
	valid := collecting[0].Config()[expect.ValidKey]
	Expect(valid).To(ContainElement(expect.AttachmentOf(s, "hot0")), "attachments that the delegate was told are valid")
	for _, add := range e.CallsFor("ADD", s) {
		if add.End.Before(collecting[0].Start) {
			Expect(valid).To(ContainElement(expect.AttachmentOf(s, add.Interface)), "what was attached before the delegate's GC")
		}
	}
}
