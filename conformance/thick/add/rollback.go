// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// refusingFake fails its first ADD with an error of its own; the next makes an
// interface.
func refusingFake(err *types.Error) script.Fake {
	f := expect.VethFake()
	f.Add.Error, f.Add.Times = err, 1
	return f
}

// addRollback is ADD-05, for each place in which the failing attachment can be.
func addRollback(ctx context.Context, e *thick.Env) {
	refusal := types.NewError(142, "pool blue is empty", "192.0.2.0/29 has 6 of 6 addresses in use")
	e.Definition("one", e.FakeList("one", expect.VethFake()))
	e.Definition("two", e.FakeList("two", expect.VethFake()))
	e.Definition("bad", e.FakeList("bad", refusingFake(refusal)))
	e.DefaultNetwork(e.FakeList("default", refusingFake(refusal)))
	e.Start(ctx)
	expectRollback(ctx, e, refusal, 0, "one,two")

	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	expectRollback(ctx, e, refusal, 1, "bad@lan0,one")
	expectRollback(ctx, e, refusal, 2, "one@lan0,bad")
	expectRollback(ctx, e, refusal, 3, "one,two,bad@wan0")
	expectRollback(ctx, e, refusal, 2, "one,bad,two")
}

// expectRollback adds a sandbox whose attachment n fails.
func expectRollback(ctx context.Context, e *thick.Env, refusal *types.Error, n int, networks string) {
	ginkgo.GinkgoHelper()
	ginkgo.By(fmt.Sprintf("attachment %d of default,%s fails", n, networks))
	s := e.Sandbox(node.Networks(networks))
	err := expect.Refused(e.Add(ctx, s))
	Expect(err.Code).To(Equal(refusal.Code), "the delegate's code")
	Expect(err.Msg).To(Equal(refusal.Msg), "the delegate's msg")
	Expect(err.Details).To(Equal(refusal.Details), "the delegate's details")

	added, deleted := e.CallsFor("ADD", s), e.CallsFor("DEL", s)
	Expect(added).To(HaveLen(n+1), "attachments that were tried: %v", expect.Trace(added))
	want := expect.Trace(added)
	slices.Reverse(want)
	Expect(expect.Trace(deleted)).To(Equal(want), "DEL for each attachment that was tried, in reverse, as the interface of its ADD")
	expectOneAfterAnother(expect.CallsOfSandbox(e, s))
	for _, c := range deleted {
		Expect(c.Netns).To(Equal(s.Netns), "CNI_NETNS of the rollback's DEL of %s", c.Network)
	}
	expect.NothingLeft(e, s)
	expect.Forgotten(ctx, e, s)

	// What is left where no one looks keeps the runtime's next try from working.
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
}

// addRollbackFails is ADD-06: the first two DELs of a rollback fail, each in
// several ways.
func addRollbackFails(ctx context.Context, e *thick.Env) {
	refusal := types.NewError(142, "pool blue is empty", "first of all")
	undone := types.NewError(999, "pool blue is locked", "not the first error")
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	last := refusingFake(refusal)
	last.Del.Error, last.Del.Times = undone, 1
	e.Definition("last", e.FakeList("last", last))
	steps := map[string]script.FakeStep{
		"refusing": {Error: undone},
		"crashing": {Signal: "SIGKILL"},
		"babbling": {Stdout: "not JSON at all", Exit: 1},
		"mute":     {Exit: 3},
	}
	for name, step := range steps {
		middle := expect.VethFake()
		step.Veth, step.Times = true, 1
		middle.Del = step
		e.Definition(name, e.FakeList(name, middle))
	}
	e.Start(ctx)
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		ginkgo.By("the DEL of the middle attachment fails: " + name)
		expectRollbackGoesOn(ctx, e, name, refusal)
	}
}

func expectRollbackGoesOn(ctx context.Context, e *thick.Env, middle string, refusal *types.Error) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(middle + ",last"))
	err := expect.Refused(e.Add(ctx, s))
	Expect([]any{err.Code, err.Msg, err.Details}).To(Equal([]any{refusal.Code, refusal.Msg, refusal.Details}), "the first error")
	// A daemon may try a DEL again at once.
	Expect(slices.Compact(expect.Trace(e.CallsFor("DEL", s)))).To(Equal([]string{"last as net2", middle + " as net1", "default as eth0"}),
		"the rollback, which goes on after a failure")
	Expect(s.InterfaceNames()).NotTo(ContainElement("eth0"), "the default network, whose DEL did not fail")

	e.MustOK(e.Del(ctx, s))
	Expect(len(slices.DeleteFunc(e.CallsFor("DEL", s), func(c script.Call) bool { return c.Network != middle }))).To(
		BeNumerically(">=", 2), "DEL of %s is tried again, because it failed", middle)
	expect.NothingLeft(e, s)
}
