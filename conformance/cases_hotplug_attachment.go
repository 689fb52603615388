// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// hotDel is HOT-02.
func hotDel(ctx context.Context, e *Env) {
	busy := types.NewError(170, "the device is busy", "held by flow 7")
	e.DefaultNetwork(e.FakeList("default", realInterface()))
	e.Definition("blue", e.FakeList("blue", realInterface()))
	e.Start(ctx)
	s := e.Sandbox(Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	good, third := e.FakeList("good", numbered(realInterface(), Fake{})...), e.FakeList("third", realInterface())
	bad := e.FakeList("bad", Fake{Add: FakeStep{Veth: true}, Del: FakeStep{Veth: true, Error: busy, Times: 1}})
	e.MustOK(e.hot(ctx, s, "ADD", "hot0", good))
	e.MustOK(e.hot(ctx, s, "ADD", "hot1", bad))
	e.MustOK(e.hot(ctx, s, "ADD", "hot2", third))

	ginkgo.By("just that attachment")
	expectEmptySuccess(e.hot(ctx, s, "DEL", "hot0", good), "DEL on /delegate")
	deleted := e.CallsFor("DEL", s)
	Expect(placesOf(deleted)).To(Equal([]string{"good hot0 plugin 1", "good hot0 plugin 0"}))
	expectParametersOfAdd(e, s, deleted)
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot1", "hot2"))
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "bad hot1", "third hot2")

	ginkgo.By("a delegate that fails")
	Expect(expectRefused(e.hot(ctx, s, "DEL", "hot1", bad)).Error()).To(ContainSubstring(busy.Msg))
	Expect(placesOf(e.CallsFor("DEL", s)[2:])).To(Equal([]string{"bad hot1"}))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot1", "hot2"))
	e.MustOK(e.hot(ctx, s, "DEL", "hot1", bad))
	deleted = e.CallsFor("DEL", s)[3:]
	Expect(placesOf(deleted)).To(Equal([]string{"bad hot1"}), "what failed is tried again")
	expectParametersOfAdd(e, s, deleted)
	Expect(deleted[0].Config()).To(HaveKeyWithValue("prevResult", Not(BeNil())))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot2"))
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "third hot2")

	ginkgo.By("what is gone, and the name used again")
	e.MustOK(e.hot(ctx, s, "DEL", "hot0", good))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot2"))
	e.MustOK(e.hot(ctx, s, "ADD", "hot1", third))
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "third hot2", "third hot1")
}

// expectAttachments asserts that the sandbox's CHECK succeeds and reaches
// these plugins, in order.
func expectAttachments(ctx context.Context, e *Env, s *Sandbox, places ...string) {
	ginkgo.GinkgoHelper()
	before := len(e.CallsFor("CHECK", s))
	e.MustOK(e.Check(ctx, s))
	if len(e.CallsFor("CHECK", s)) == before {
		return // that CHECK reaches delegates at all is CHECK-01's
	}
	Expect(placesOf(e.CallsFor("CHECK", s)[before:])).To(Equal(places), "the sandbox's attachments")
}

// hotCheckAndStatus is HOT-03.
func hotCheckAndStatus(ctx context.Context, e *Env) {
	e.Definition("blue", e.FakeList("blue"))
	e.Start(ctx)
	s := e.Sandbox(Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	want := types.NewError(231, "hot1 has lost its route", "192.0.2.0/24")
	good, bad := e.FakeList("good", numbered(Fake{}, realInterface())...), e.FakeList("bad", Fake{Check: FakeStep{Error: want, Times: 1}})
	result := e.hot(ctx, s, "ADD", "hot0", good).Result()
	e.MustOK(e.hot(ctx, s, "ADD", "hot1", bad))

	ginkgo.By("CHECK of one attachment")
	expectEmptySuccess(e.hot(ctx, s, "CHECK", "hot0", good), "CHECK on /delegate")
	checked := e.CallsFor("CHECK", s)
	Expect(placesOf(checked)).To(Equal([]string{"good hot0 plugin 0", "good hot0 plugin 1"}))
	expectParametersOfAdd(e, s, checked)
	expectPrevResultOf(result, checked)
	expectSameError(e.hot(ctx, s, "CHECK", "hot1", bad), want)
	e.MustOK(e.hot(ctx, s, "CHECK", "hot1", bad))

	ginkgo.By("CHECK of what is not attached")
	e.ResetCalls()
	_ = expectRefused(e.hot(ctx, s, "CHECK", "hot2", good))
	never := e.Sandbox()
	_ = expectRefused(e.hot(ctx, never, "CHECK", "hot0", good))
	e.MustOK(e.hot(ctx, s, "DEL", "hot0", good))
	_ = expectRefused(e.hot(ctx, s, "CHECK", "hot0", good))
	Expect(e.CallsOf("CHECK")).To(BeEmpty(), "delegates that were asked about what is not attached")
	hotStatus(ctx, e, s)
}

// hotStatus asserts that STATUS on /delegate asks the delegates of the
// configuration that it is given.
func hotStatus(ctx context.Context, e *Env, s *Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("STATUS")
	e.ResetCalls()
	expectEmptySuccess(e.hot(ctx, s, "STATUS", "hot1", versioned(e.FakeList("next", numbered(Fake{}, Fake{})...), "1.1.0")), "STATUS on /delegate")
	calls := e.Calls()
	Expect(networksOf(calls)).To(Equal([]string{"next", "next"}), "the plugins that STATUS asks")
	for i, c := range calls {
		Expect(c.Command).To(Equal("STATUS"))
		Expect(c.Config()).To(And(HaveKeyWithValue("cniVersion", "1.1.0"), HaveKeyWithValue(positionKey, BeNumerically("==", i))))
	}
	for _, want := range []*types.Error{types.NewError(51, "the pool is exhausted", "254 of 254"), types.NewError(50, "no agent", "")} {
		list := versioned(e.FakeList("full", Fake{}, Fake{Status: FakeStep{Error: want}}), "1.1.0")
		expectSameError(e.hot(ctx, s, "STATUS", "hot1", list), want)
	}
	e.MustOK(e.hot(ctx, s, "STATUS", "hot1", e.FakeList("before-status", Fake{Status: FakeStep{Exit: 1}})))
}
