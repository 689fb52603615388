// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// gcPause is how long a hot-plug that comes during GC may take before it is
// taken for one that waits for the GC's end.
const gcPause = 2 * time.Second

// hotDuringGC hot-plugs while GC runs: of that the runtime, which keeps ADD
// and GC apart, knows nothing. The sandboxes are such that GC comes to one
// before and to one after the stale one that holds it up.
func hotDuringGC(ctx context.Context, e *Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("hot-plug while GC runs")
	gate := filepath.Join(e.Dir, "gate")
	defer e.Touch(gate)
	e.Definition("held", e.FakeList("held", Fake{Del: FakeStep{WaitFor: gate}}))
	stale := e.Sandbox(ContainerID("7"+randomHex(20)), Networks("held"))
	kept := []*Sandbox{e.Sandbox(ContainerID("0" + randomHex(20))), e.Sandbox(ContainerID("f" + randomHex(20)))}
	list := versioned(e.FakeList("busy", realInterface()), "1.1.0")
	for _, s := range append(kept, stale) {
		e.MustOK(e.Add(ctx, s))
		e.MustOK(e.hot(ctx, s, "ADD", "hot0", list))
	}
	e.ResetCalls()
	collected := e.Async(ctx, gcRequest(e, kept...))
	e.AwaitCalls(ctx, 1, callOf(stale, "DEL", "held"))
	var plugged []<-chan Outcome
	for _, s := range kept {
		r := hotplugRequest(e, s, "ADD", list)
		r.Env["CNI_IFNAME"] = "hot1"
		plugged = append(plugged, e.asyncDelegate(ctx, r))
	}
	_ = await(func() []string {
		return slices.DeleteFunc([]string{kept[0].ID, kept[1].ID}, func(id string) bool {
			return slices.ContainsFunc(e.CallsOf("ADD"), func(c Call) bool { return c.ContainerID == id && !c.End.IsZero() })
		})
	}, gcPause)
	e.Touch(gate)
	e.MustOK(answered(collected))
	for i, s := range kept {
		e.MustOK(answered(plugged[i]))
		Expect(placesOf(e.CallsFor("DEL", s))).To(BeEmpty(), "DEL of a sandbox that is named")
		Expect(s.InterfaceNames()).To(ConsistOf("eth0", "hot0", "hot1"), "interfaces of a sandbox that is named")
		expectAttachments(ctx, e, s, "default eth0", "busy hot0", "busy hot1")
		expectValidSince(e, s)
	}
	Expect(e.Leftovers(stale)).To(BeEmpty(), "what GC left")
}

// asyncDelegate is Async for /delegate.
func (e *Env) asyncDelegate(ctx context.Context, r *api.Request) <-chan Outcome {
	out := make(chan Outcome, 1)
	go func() {
		a, err := e.post(ctx, api.MultusDelegateAPIEndpoint, r)
		out <- Outcome{a, err}
	}()
	return out
}

// expectValidSince asserts that the delegate's GC named what it had attached
// before, lest it releases that by itself.
func expectValidSince(e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	collecting := slices.DeleteFunc(e.CallsOf("GC"), func(c Call) bool { return c.Network != "busy" })
	Expect(collecting).To(HaveLen(1), "GC of the hot-plugged network")
	valid := collecting[0].Config()[validKey]
	Expect(valid).To(ContainElement(attachmentOf(s, "hot0")))
	for _, add := range e.CallsFor("ADD", s) {
		if add.End.Before(collecting[0].Start) {
			Expect(valid).To(ContainElement(attachmentOf(s, add.Interface)), "what was attached before the delegate's GC")
		}
	}
}
