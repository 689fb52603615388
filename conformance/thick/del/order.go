// SPDX-License-Identifier: Apache-2.0

package del

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

// delReversed is DEL-01.
func delReversed(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	for _, name := range []string{"red", "green", "blue"} {
		e.Definition(name, e.FakeList(name, expect.RealInterface()))
	}
	e.Start(ctx)

	ginkgo.By("one interface with a requested name among numbered ones")
	s := e.Sandbox(node.Networks("red,green@data0,blue"))
	e.MustOK(e.Add(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("ADD", s))).To(Equal([]string{"default eth0", "red net1", "green data0", "blue net3"}), "delegates that were called at ADD, in order")
	e.MustOK(e.Del(ctx, s))
	expect.Deleted(e, s)
	expect.NoOverlap(e.CallsFor("DEL", s))

	ginkgo.By("one network twice, and another name than eth0")
	s = e.Sandbox(node.Networks("red@one,blue,red@two"))
	s.IfName = "ens5"
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(Equal([]string{"red two", "blue net2", "red one", "default ens5"}), "delegates that were called at DEL, in order")
	expect.Deleted(e, s)
}

// delAgain is DEL-02.
func delAgain(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	e.Definition("broken", e.FakeList("broken", script.Fake{Add: script.FakeStep{Error: types.NewError(119, "no", "")}}))
	d := e.Start(ctx)
	other, s, failed := e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue,broken"))
	e.MustOK(e.Add(ctx, other))

	ginkgo.By("a second and a third DEL, the pod being there and gone")
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
	e.MustOK(e.Del(ctx, s))
	e.DeletePod(s)
	e.MustOK(e.Del(ctx, s))
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
	expect.Forgotten(ctx, e, s)

	ginkgo.By("DEL after an ADD that failed")
	Expect(e.Add(ctx, failed).OK()).To(BeFalse(), "ADD with a network that fails")
	e.MustOK(e.Del(ctx, failed))
	e.MustOK(e.Del(ctx, failed))
	expect.Forgotten(ctx, e, failed)

	ginkgo.By("DEL of containers never seen")
	delNeverSeen(ctx, e)

	ginkgo.By("all of that after a restart")
	expect.Restarted(ctx, e, d)
	e.MustOK(e.Del(ctx, s))
	delNeverSeen(ctx, e)
	Expect(other.InterfaceNames()).To(ConsistOf("eth0", "net1"), "interfaces of another container")
	e.MustOK(e.Check(ctx, other))
}

// delNeverSeen deletes containers that had no ADD, with less and less that is
// known of them.
func delNeverSeen(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	for _, s := range []*node.Sandbox{e.Sandbox(node.Networks("blue")), e.Sandbox(node.WithoutPod()), e.Sandbox(node.WithoutNetns()), e.Sandbox(node.WithoutPod(), node.WithoutNetns())} {
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
	}
}

// delDelegateFails is DEL-06: the network that fails is the first to be
// deleted, one in the middle, and the last.
func delDelegateFails(ctx context.Context, e *thick.Env) {
	failing := types.NewError(4321, "the device is busy", "held by flow 7")
	bad := script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true, Error: failing, Times: 1}}
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("good", e.FakeList("good", expect.RealInterface()))
	e.Definition("fine", e.FakeList("fine", expect.RealInterface()))
	e.Definition("bad", e.FakeList("bad", bad))
	d := e.Start(ctx)
	for _, networks := range []string{"good,bad,fine", "bad,good", "good,fine,bad"} {
		ginkgo.By("bad fails in " + networks)
		s := e.Sandbox(node.Networks(networks))
		e.MustOK(e.Add(ctx, s))
		expectDelFails(ctx, e, s, failing)
		expectRetried(ctx, e, s, "bad", len(e.CallsFor("DEL", s)))
	}

	ginkgo.By("the default network fails; its configuration changes, the pod goes and the daemon restarts before the later DEL")
	e.DefaultNetwork(e.FakeList("default", bad))
	s := e.Sandbox(node.Networks("good,fine"))
	e.MustOK(e.Add(ctx, s))
	expectDelFails(ctx, e, s, failing)
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.DeletePod(s)
	before := len(e.CallsFor("DEL", s))
	expect.Restarted(ctx, e, d)
	expectRetried(ctx, e, s, "default", before)

	delTwoDelegatesFail(ctx, e, failing)
}

// expectDelFails asserts that one failing delegate makes DEL fail with its
// error, and that DEL went on to all of the others.
func expectDelFails(ctx context.Context, e *thick.Env, s *node.Sandbox, want *types.Error) {
	ginkgo.GinkgoHelper()
	a := e.Del(ctx, s)
	Expect(a.OK()).To(BeFalse(), "a failing delegate was not reported")
	Expect(a.Error()).To(Equal(want), "the delegate's own error; the answer is %s", a)
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(Equal(expect.Reversed(expect.PlacesOf(e.CallsFor("ADD", s)))), "every attachment is tried")
	Expect(s.InterfaceNames()).To(HaveLen(1), "only the failing network's interface is left")
}

// expectRetried asserts that a later DEL succeeds, and that the delegate of the
// network that failed was called again as before, after so many calls: by that
// DEL, or by a restarted daemon that finishes what was half done (RES-01).
func expectRetried(ctx context.Context, e *thick.Env, s *node.Sandbox, network string, before int) {
	ginkgo.GinkgoHelper()
	e.MustOK(e.Del(ctx, s))
	again := e.CallsFor("DEL", s)[before:]
	Expect(node.NetworksOf(again)).To(ContainElement(network), "what failed is tried again")
	expect.ParametersOfAdd(e, s, again)
	for _, c := range again {
		if c.Network == network {
			Expect(c.Config()).To(HaveKeyWithValue("prevResult", Not(BeNil())), "the configuration that the delegate got")
		}
	}
	Expect(e.Leftovers(s)).To(BeEmpty(), "what the later DEL left")
	expect.Forgotten(ctx, e, s)
}

// delTwoDelegatesFail has two delegates fail, one of them by a crash.
func delTwoDelegatesFail(ctx context.Context, e *thick.Env, failing *types.Error) {
	ginkgo.GinkgoHelper()
	ginkgo.By("two networks fail, one of them by a crash")
	e.Definition("bad", e.FakeList("bad", script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true, Error: failing, Times: 1}}))
	e.Definition("crash", e.FakeList("crash", script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true, Signal: "SIGKILL", Times: 1}}))
	s := e.Sandbox(node.Networks("crash,good,bad"))
	e.MustOK(e.Add(ctx, s))
	a := e.Del(ctx, s)
	Expect(a.OK()).To(BeFalse(), "two failing delegates were not reported")
	Expect(a.Error()).NotTo(BeNil(), "a CNI error; the answer is %s", a)
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(Equal([]string{"bad net3", "good net2", "crash net1", "default eth0"}), "delegates that were called at DEL, in order")
	Expect(s.InterfaceNames()).To(ConsistOf("net1", "net3"), "the interfaces of what failed")
	before := len(e.CallsFor("DEL", s))
	e.MustOK(e.Del(ctx, s))
	Expect(node.NetworksOf(e.CallsFor("DEL", s)[before:])).To(ContainElements("crash", "bad"), "networks whose delegates were called at DEL")
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
}
