// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// checkVanished is CHECK-04. Each sandbox loses one thing.
func checkVanished(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	Expect(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "master0"}})).To(Succeed())
	e.DefaultNetwork(expect.RealBridge(e, "default", "cbr-check", "10.73.0.0/24"))
	e.Definition("blue", expect.RealList(e, "blue", "10.74.0.0/24", map[string]any{"type": "macvlan", "master": "master0", "mode": "bridge"}))
	d := e.Start(ctx)
	for _, loss := range []struct {
		what string
		of   func(s *node.Sandbox)
	}{
		{"the address of eth0", func(s *node.Sandbox) { s.DeleteAddress("eth0", addressOf(s, "eth0")) }},
		{"the address of net1", func(s *node.Sandbox) { s.DeleteAddress("net1", addressOf(s, "net1")) }},
		{"eth0", func(s *node.Sandbox) { s.DeleteInterface("eth0") }},
		{"net1", func(s *node.Sandbox) { s.DeleteInterface("net1") }},
	} {
		ginkgo.By("a sandbox loses " + loss.what)
		s := e.Sandbox(node.Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		e.MustOK(e.Check(ctx, s))
		loss.of(s)
		for range 2 { // the failure lasts as long as its reason, also over a restart
			a := e.Check(ctx, s)
			Expect(a.OK()).To(BeFalse(), "CHECK succeeds without %s", loss.what)
			Expect(a.Error()).NotTo(BeNil(), "a CNI error; the answer is %s", a)
			d = expect.Restarted(ctx, e, d)
		}
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
	}
}

// addressOf is the one address of a sandbox's interface.
func addressOf(s *node.Sandbox, name string) string {
	ginkgo.GinkgoHelper()
	for _, i := range s.Interfaces() {
		if i.Name == name {
			Expect(i.Addresses).To(HaveLen(1), "addresses of %s", name)
			return i.Addresses[0]
		}
	}
	ginkgo.Fail("the sandbox has no interface " + name)
	return ""
}

// checkUnknownContainer is CHECK-06.
func checkUnknownContainer(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.Definition("blue", e.FakeList("blue"))
	e.Definition("broken", e.FakeList("broken", script.Fake{Add: script.FakeStep{Error: types.NewError(119, "no", "")}}))
	d := e.Start(ctx)
	never, failed, deleted := e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("broken")), e.Sandbox(node.Networks("blue"))
	Expect(e.Add(ctx, failed).OK()).To(BeFalse(), "ADD with a network that fails")
	e.MustOK(e.Add(ctx, deleted))
	e.MustOK(e.Check(ctx, deleted))
	e.MustOK(e.Del(ctx, deleted))
	e.ResetCalls()
	for range 2 {
		for what, s := range map[string]*node.Sandbox{"never added": never, "whose ADD failed": failed, "deleted": deleted} {
			a := e.Check(ctx, s)
			Expect(a.OK()).To(BeFalse(), "CHECK of a container %s succeeds", what)
			Expect(a.Error()).NotTo(BeNil(), "a CNI error; the answer is %s", a)
		}
		d = expect.Restarted(ctx, e, d)
	}
	Expect(e.CallsOf("CHECK")).To(BeEmpty(), "delegates are not asked about what was never attached")
}

// checkChangesNothing is CHECK-07, for a CHECK that succeeds and one that fails.
func checkChangesNothing(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Veth: true, Addresses: []string{"203.0.113.7/24"}}, Del: script.FakeStep{Veth: true}}))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	e.Definition("moody", e.FakeList("moody", script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true},
		Check: script.FakeStep{Error: types.NewError(232, "not now", ""), Times: 1}}))
	d := e.Start(ctx)
	s, moody := e.Sandbox(node.Networks("blue,blue@data0")), e.Sandbox(node.Networks("moody"))
	e.MustOK(e.Add(ctx, s))
	before := expect.StateOf(e, s)
	for range 3 {
		e.MustOK(e.Check(ctx, s))
		Expect(expect.StateOf(e, s)).To(Equal(before), "after CHECK")
	}

	ginkgo.By("a CHECK that fails")
	e.MustOK(e.Add(ctx, moody))
	before = expect.StateOf(e, moody)
	Expect(e.Check(ctx, moody).OK()).To(BeFalse(), "CHECK with a delegate that fails")
	Expect(expect.StateOf(e, moody)).To(Equal(before), "after a CHECK that failed")
	e.MustOK(e.Check(ctx, moody))

	ginkgo.By("after a restart, and through the shim")
	expect.Restarted(ctx, e, d)
	before = expect.StateOf(e, s)
	e.MustOK(e.Check(ctx, s))
	run := e.Shim(ctx, "CHECK", s)
	Expect(run.ExitCode).To(BeZero(), "the shim printed %s %s", run.Stdout, run.Stderr)
	Expect(expect.StateOf(e, s)).To(Equal(before), "after CHECK")
	for _, c := range e.Calls() {
		Expect(c.Command).To(Or(Equal("ADD"), Equal("CHECK")), "what delegates are called for until DEL")
	}
	Expect(e.CallsFor("ADD", s)).To(HaveLen(3), "one ADD of each network")
	e.MustOK(e.Del(ctx, s))
	expect.Deleted(e, s)
	e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("DEL", moody)))
	expect.Deleted(e, moody)
}
