// SPDX-License-Identifier: Apache-2.0

package shim

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// shimKilled is SHIM-10, with a delegate that never ends in each place. The
// same sandbox is added again afterwards: its lock must be free.
func shimKilled(ctx context.Context, e *thick.Env) {
	hanging := script.Fake{Add: script.FakeStep{Hang: true, Child: true, Times: 1}}
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("first", e.FakeList("first", expect.VethFake()))
	e.Definition("hanging", e.FakeList("hanging", expect.VethFake(), hanging))
	e.Start(ctx)
	expectKilledShimLeavesNothing(ctx, e, "first,hanging,first@more",
		[]string{"hanging as net2", "hanging as net2", "first as net1", "default as eth0"})
	expectKilledShimLeavesNothing(ctx, e, "hanging,first", []string{"hanging as net1", "hanging as net1", "default as eth0"})
	e.DefaultNetwork(e.FakeList("default", hanging, expect.VethFake()))
	expectKilledShimLeavesNothing(ctx, e, "first", []string{"default as eth0", "default as eth0"})
}

func expectKilledShimLeavesNothing(ctx context.Context, e *thick.Env, networks string, rollback []string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("networks " + networks)
	s := e.Sandbox(node.Networks(networks))
	shim := e.StartShim(ctx, "ADD", s)
	hangs := func(c script.Call) bool { return c.ContainerID == s.ID && c.Command == "ADD" && c.ChildPID != 0 }
	hung := e.AwaitCalls(ctx, 1, hangs)[0]
	Expect(node.Alive(hung.PID) && node.Alive(hung.ChildPID)).To(BeTrue(), "the delegate and what it started, while the shim lives")
	shim.Kill()
	expect.Dead([]script.Call{hung})
	Eventually(func() []string { return expect.Trace(e.CallsFor("DEL", s)) }).WithContext(ctx).WithTimeout(10*time.Second).
		Should(Equal(rollback), "the rollback")
	Eventually(e.Leftovers).WithArguments(s).WithContext(ctx).WithTimeout(5*time.Second).Should(BeEmpty(), "after the rollback")

	expect.Succeeded(e.Shim(ctx, "ADD", s))
	expect.Succeeded(e.Shim(ctx, "CHECK", s))
	expect.SilentSuccess(e.Shim(ctx, "DEL", s), "DEL")
	expect.NothingLeft(e, s)
}

// shimDelWithoutNetns is SHIM-11: after ADD, again, and for a container that
// was never added.
func shimDelWithoutNetns(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("second", e.FakeList("second", expect.VethFake()))
	e.Start(ctx)
	for how, option := range map[string]thick.ShimOption{
		"empty": thick.ShimEnv(func(env map[string]string) { env["CNI_NETNS"] = "" }),
		"unset": thick.ShimEnv(func(env map[string]string) { delete(env, "CNI_NETNS") }),
	} {
		for _, gone := range []bool{false, true} {
			ginkgo.By(how)
			s := e.Sandbox(node.Networks("second"))
			expect.Succeeded(e.Shim(ctx, "ADD", s))
			if gone {
				s.RemoveNetns()
			}
			expect.SilentSuccess(e.Shim(ctx, "DEL", s, option), "DEL with CNI_NETNS "+how)
			Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal([]string{"second as net1", "default as eth0"}), "CNI_NETNS %s", how)
			Expect(e.RecordsOf(s)).To(BeEmpty(), "records after DEL")
			expect.Forgotten(ctx, e, s)
			expect.SilentSuccess(e.Shim(ctx, "DEL", s, option), "a second DEL with CNI_NETNS "+how)
			expect.SilentSuccess(e.Shim(ctx, "DEL", e.Sandbox(), option), "DEL of a container never added, with CNI_NETNS "+how)
		}
	}
}
