// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// hotDel is HOT-02.
func hotDel(ctx context.Context, e *thick.Env) {
	busy := types.NewError(170, "the device is busy", "held by flow 7")
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	good, third := e.FakeList("good", expect.Numbered(expect.RealInterface(), script.Fake{})...), e.FakeList("third", expect.RealInterface())
	bad := e.FakeList("bad", script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true, Error: busy, Times: 1}})
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot0", good))
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot1", bad))
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot2", third))

	ginkgo.By("just that attachment")
	expect.EmptySuccess(expect.Hotplug(ctx, e, s, "DEL", "hot0", good), "DEL on /delegate")
	deleted := e.CallsFor("DEL", s)
	Expect(expect.PlacesOf(deleted)).To(Equal([]string{"good hot0 plugin 1", "good hot0 plugin 0"}), "delegates that were called at DEL, in order")
	expect.ParametersOfAdd(e, s, deleted)
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot1", "hot2"), "interfaces in the sandbox")
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "bad hot1", "third hot2")

	ginkgo.By("a delegate that fails")
	Expect(expect.Refused(expect.Hotplug(ctx, e, s, "DEL", "hot1", bad)).Error()).To(ContainSubstring(busy.Msg), "the text of the error")
	Expect(expect.PlacesOf(e.CallsFor("DEL", s)[2:])).To(Equal([]string{"bad hot1"}), "delegates that were called at DEL, in order")
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot1", "hot2"), "interfaces in the sandbox")
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot1", bad))
	deleted = e.CallsFor("DEL", s)[3:]
	Expect(expect.PlacesOf(deleted)).To(Equal([]string{"bad hot1"}), "what failed is tried again")
	expect.ParametersOfAdd(e, s, deleted)
	Expect(deleted[0].Config()).To(HaveKeyWithValue("prevResult", Not(BeNil())), "the configuration that the delegate got")
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot2"), "interfaces in the sandbox")
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "third hot2")

	ginkgo.By("what is gone, and the name used again")
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot0", good))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "hot2"), "interfaces in the sandbox")
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot1", third))
	expectAttachments(ctx, e, s, "default eth0", "blue net1", "third hot2", "third hot1")
}

// expectAttachments asserts that the sandbox's CHECK succeeds and reaches
// these plugins, in order.
func expectAttachments(ctx context.Context, e *thick.Env, s *node.Sandbox, places ...string) {
	ginkgo.GinkgoHelper()
	before := len(e.CallsFor("CHECK", s))
	e.MustOK(e.Check(ctx, s))
	if len(e.CallsFor("CHECK", s)) == before {
		return // that CHECK reaches delegates at all is CHECK-01's
	}
	Expect(expect.PlacesOf(e.CallsFor("CHECK", s)[before:])).To(Equal(places), "the sandbox's attachments")
}

// hotCheckAndStatus is HOT-03.
func hotCheckAndStatus(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Definition("blue", e.FakeList("blue"))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	want := types.NewError(231, "hot1 has lost its route", "192.0.2.0/24")
	good, bad := e.FakeList("good", expect.Numbered(script.Fake{}, script.Fake{})...), e.FakeList("bad", script.Fake{Check: script.FakeStep{Error: want, Times: 1}})
	result := expect.Hotplug(ctx, e, s, "ADD", "hot0", good).Result()
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot1", bad))

	ginkgo.By("CHECK of one attachment")
	expect.EmptySuccess(expect.Hotplug(ctx, e, s, "CHECK", "hot0", good), "CHECK on /delegate")
	checked := e.CallsFor("CHECK", s)
	Expect(expect.PlacesOf(checked)).To(Equal([]string{"good hot0 plugin 0", "good hot0 plugin 1"}), "delegates that were called at CHECK, in order")
	expect.ParametersOfAdd(e, s, checked)
	expect.PrevResultOf(result, checked)
	expect.SameError(expect.Hotplug(ctx, e, s, "CHECK", "hot1", bad), want)
	e.MustOK(expect.Hotplug(ctx, e, s, "CHECK", "hot1", bad))

	ginkgo.By("CHECK of what is not attached")
	e.ResetCalls()
	_ = expect.Refused(expect.Hotplug(ctx, e, s, "CHECK", "hot2", good))
	never := e.Sandbox()
	_ = expect.Refused(expect.Hotplug(ctx, e, never, "CHECK", "hot0", good))
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot0", good))
	_ = expect.Refused(expect.Hotplug(ctx, e, s, "CHECK", "hot0", good))
	Expect(e.CallsOf("CHECK")).To(BeEmpty(), "delegates that were asked about what is not attached")
	hotStatus(ctx, e, s)
}

// hotStatus asserts that STATUS on /delegate asks the delegates of an attachment.
func hotStatus(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("STATUS")
	e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot1", e.FakeList("bad")))
	statusOf := func(network, version string, steps ...script.Fake) *thick.Answer {
		ginkgo.GinkgoHelper()
		list := expect.Versioned(e.FakeList(network, steps...), version)
		e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot1", list))
		e.ResetCalls()
		answer := expect.Hotplug(ctx, e, s, "STATUS", "hot1", list)
		for _, c := range e.CallsOf("STATUS") {
			Expect(c.Network).To(Equal(network), "the network that STATUS asks")
			Expect(c.Config()).To(HaveKeyWithValue("cniVersion", version), "the configuration that the delegate got")
		}
		e.MustOK(expect.Hotplug(ctx, e, s, "DEL", "hot1", list))
		return answer
	}
	expect.EmptySuccess(statusOf("next", "1.1.0", expect.Numbered(script.Fake{}, script.Fake{})...), "STATUS on /delegate")
	Expect(positionsOf(e.CallsOf("STATUS"))).To(Equal([]any{0., 1.}), "the plugins that STATUS asks, in order")
	for _, want := range []*types.Error{types.NewError(51, "the pool is exhausted", "254 of 254"), types.NewError(50, "no agent", "")} {
		expect.SameError(statusOf("full", "1.1.0", script.Fake{}, script.Fake{Status: script.FakeStep{Error: want}}), want)
	}
	e.MustOK(statusOf("before-status", "1.0.0", script.Fake{Status: script.FakeStep{Exit: 1}}))
}

// positionsOf are the positions in their lists of the plugins that were called;
// see expect.Numbered.
func positionsOf(calls []script.Call) []any {
	var all []any
	for _, c := range calls {
		all = append(all, c.Config()[expect.PositionKey])
	}
	return all
}
