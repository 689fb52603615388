// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// addOneAtATime is ADD-10.
func addOneAtATime(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	gate := filepath.Join(e.Dir, "gate")
	held := expect.VethFake()
	held.Add.WaitFor = gate
	e.Definition("gated", e.FakeList("gated", held))
	slow := filepath.Join(e.Dir, "slow-gate")
	e.Definition("slow", e.FakeList("slow", script.Fake{Add: script.FakeStep{WaitFor: slow}, Check: script.FakeStep{Delay: "100ms"}, Del: script.FakeStep{Delay: "100ms"}}))
	e.DefaultNetwork(e.FakeList("default", script.Fake{Check: script.FakeStep{Delay: "50ms"}, Del: script.FakeStep{Delay: "50ms"}}))
	e.Start(ctx)
	expectConcurrent(ctx, e, gate)
	expectQueued(ctx, e, slow)
}

// expectConcurrent holds the ADD of three containers, and meanwhile takes a
// fourth through its life.
func expectConcurrent(ctx context.Context, e *thick.Env, gate string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("different containers at the same time")
	var answers []<-chan thick.Outcome
	for range 3 {
		answers = append(answers, e.Async(ctx, e.Request("ADD", e.Sandbox(node.Networks("gated")))))
	}
	e.AwaitCalls(ctx, 3, func(c script.Call) bool { return c.Command == "ADD" && c.Network == "gated" })
	free := e.Sandbox()
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		e.MustOK(expect.AwaitAnswer(e.Async(ctx, e.Request(command, free))))
	}
	for _, a := range answers {
		Expect(a).NotTo(Receive(), "an ADD was answered before its delegate ended")
	}
	e.Touch(gate)
	for _, a := range answers {
		e.MustOK(expect.AwaitAnswer(a))
	}
}

// expectQueued sends several requests of one container at once.
func expectQueued(ctx context.Context, e *thick.Env, gate string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("requests of one container while its ADD runs")
	s := e.Sandbox(node.Networks("slow"))
	first := e.Async(ctx, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, expect.CallOf(s, "ADD", "slow"))
	check, second := e.Async(ctx, e.Request("CHECK", s)), e.Async(ctx, e.Request("ADD", s))
	Consistently(func() []string { return expect.Trace(expect.CallsOfSandbox(e, s)) }).WithTimeout(300*time.Millisecond).Should(HaveLen(2),
		"only the first ADD's delegates may run while it is served")
	Expect(check).NotTo(Receive(), "CHECK was answered during the ADD")
	e.Touch(gate)
	e.MustOK(expect.AwaitAnswer(first))
	e.MustOK(expect.AwaitAnswer(check))
	expect.AwaitAnswer(second) // whether it must fail is ADD-11's
	expectOneAfterAnother(expect.CallsOfSandbox(e, s))

	ginkgo.By("two CHECKs of one container")
	e.ResetCalls()
	check, again := e.Async(ctx, e.Request("CHECK", s)), e.Async(ctx, e.Request("CHECK", s))
	e.MustOK(expect.AwaitAnswer(check))
	e.MustOK(expect.AwaitAnswer(again))
	whole := []string{"default as eth0", "slow as net1"}
	Expect(expect.Trace(expect.CallsOfSandbox(e, s))).To(Equal(append(whole, whole...)), "one request is served to its end before the next")
	expectOneAfterAnother(expect.CallsOfSandbox(e, s))

	ginkgo.By("CHECK and DEL of one container")
	e.ResetCalls()
	check, del := e.Async(ctx, e.Request("CHECK", s)), e.Async(ctx, e.Request("DEL", s))
	e.MustOK(expect.AwaitAnswer(del))
	expect.AwaitAnswer(check) // a failure when the DEL came first
	expectOneAfterAnother(expect.CallsOfSandbox(e, s))
	Expect(len(slices.Compact(commandsOf(expect.CallsOfSandbox(e, s))))).To(BeNumerically("<=", 2), "CHECK and DEL took turns")
}

func commandsOf(calls []script.Call) []string {
	var names []string
	for _, c := range calls {
		names = append(names, c.Command)
	}
	return names
}

// addClientGone is ADD-14: the client leaves while the second of three
// delegates waits, and while the first does.
func addClientGone(ctx context.Context, e *thick.Env) {
	hanging := expect.VethFake()
	hanging.Add.Hang, hanging.Add.Child, hanging.Add.Times = true, true, 1
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("waiting", e.FakeList("waiting", hanging))
	e.Definition("never", e.FakeList("never", expect.VethFake()))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("waiting@lan0,never"))
	leaveDuring(ctx, e, s, "waiting")
	expectRolledBack(ctx, e, s, []string{"waiting as lan0", "default as eth0"})

	e.DefaultNetwork(e.FakeList("default", hanging))
	s = e.Sandbox(node.Networks("never"))
	leaveDuring(ctx, e, s, "default")
	expectRolledBack(ctx, e, s, []string{"default as eth0"})
}

// leaveDuring posts an ADD and takes the client away when the network's
// delegate runs.
func leaveDuring(ctx context.Context, e *thick.Env, s *node.Sandbox, network string) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the client leaves while the delegate of " + network + " waits")
	client, leave := context.WithCancel(ctx)
	defer leave()
	outcome := e.Async(client, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, func(c script.Call) bool { return expect.CallOf(s, "ADD", network)(c) && c.ChildPID != 0 })
	leave()
	var o thick.Outcome
	Eventually(outcome).WithTimeout(5*time.Second).Should(Receive(&o), "an answer to the request")
	Expect(o.Err).To(MatchError(context.Canceled), "what the client that went away got")
}

// expectRolledBack waits for the rollback, and then adds the container again.
func expectRolledBack(ctx context.Context, e *thick.Env, s *node.Sandbox, deleted []string) {
	ginkgo.GinkgoHelper()
	Eventually(func() []string {
		return expect.Trace(slices.DeleteFunc(e.CallsFor("DEL", s), func(c script.Call) bool { return c.End.IsZero() }))
	}).WithTimeout(10*time.Second).WithPolling(node.PollInterval).Should(Equal(deleted), "the rollback of an ADD whose client left")
	expect.Dead(expect.CallsOfSandbox(e, s))
	Expect(s.InterfaceNames()).To(BeEmpty(), "interfaces of an ADD whose client left")
	Expect(e.CallsFor("ADD", s)).To(HaveLen(len(deleted)), "nothing is attached for a client that left: %v", expect.Trace(e.CallsFor("ADD", s)))
	Eventually(e.Leftovers).WithArguments(s).WithTimeout(5*time.Second).Should(BeEmpty(), "what is left of an ADD whose client left")
	expect.AwaitAnswer(e.Async(ctx, e.Request("CHECK", s))) // it waits for the ADD's end, which comes after the last DEL's
	expect.Forgotten(ctx, e, s)

	e.MustOK(expect.AwaitAnswer(e.Async(ctx, e.Request("ADD", s))))
	e.MustOK(e.Del(ctx, s))
}

// addNeverParallel is ADD-15, for ADD, its rollback, CHECK and DEL.
func addNeverParallel(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	wait := script.FakeStep{Delay: "100ms"}
	slow := script.Fake{Add: wait, Del: wait, Check: wait}
	bad := slow
	bad.Add.Error = types.NewError(142, "pool blue is empty", "")
	e.DefaultNetwork(e.FakeList("default", slow))
	e.Definition("one", e.FakeList("one", slow))
	e.Definition("two", e.FakeList("two", slow, slow))
	e.Definition("bad", e.FakeList("bad", bad))
	e.Start(ctx)

	ginkgo.By("ADD, CHECK and DEL of three attachments")
	s := e.Sandbox(node.Networks("one,two"))
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Check(ctx, s))
	e.MustOK(e.Del(ctx, s))
	for _, command := range []string{"ADD", "DEL"} {
		Expect(e.CallsFor(command, s)).To(HaveLen(4), "%s of the three attachments' four plugins", command)
	}
	expectOneAfterAnother(expect.CallsOfSandbox(e, s))

	ginkgo.By("ADD of three attachments and its rollback")
	s = e.Sandbox(node.Networks("one,bad"))
	_ = expect.Refused(e.Add(ctx, s))
	Expect(commandsOf(expect.CallsOfSandbox(e, s))).To(Equal([]string{"ADD", "ADD", "ADD", "DEL", "DEL", "DEL"}), "commands of the calls, in order")
	expectOneAfterAnother(expect.CallsOfSandbox(e, s))
}
