// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// delDuringAdd is DEL-08, with an ADD that is held in its first delegate, and
// in the middle of a list whose first plugin has made its interface.
func delDuringAdd(ctx context.Context, e *thick.Env) {
	inFirst, inList := filepath.Join(e.Dir, "gate-first"), filepath.Join(e.Dir, "gate-list")
	e.Definition("blue", e.FakeList("blue", expect.Numbered(expect.RealInterface(), script.Fake{Add: script.FakeStep{WaitFor: inList}})...))
	e.Definition("green", e.FakeList("green", expect.RealInterface()))
	// A slow DEL makes it visible when the end of the ADD and the DEL overlap.
	slow := script.FakeStep{Veth: true, Delay: "100ms"}
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{WaitFor: inFirst, Veth: true}, Del: slow}))
	d := e.Start(ctx)

	ginkgo.By("held in the first delegate")
	delWhileHeld(ctx, e, e.Sandbox(node.Networks("green")), "default eth0", inFirst)

	ginkgo.By("held in the middle of a list")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Veth: true}, Del: slow}))
	s := e.Sandbox(node.Networks("green,blue,green@more"))
	delWhileHeld(ctx, e, s, "blue net2 plugin 1", inList)

	ginkgo.By("the container can be added again, and a restart brings nothing back")
	expect.Restarted(ctx, e, d)
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
	expect.Forgotten(ctx, e, s)
	e.ResetCalls()
	e.MustOK(e.Add(ctx, s))
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1", "net2", "more"), "interfaces in the sandbox")
	e.MustOK(e.Check(ctx, s))
	e.MustOK(e.Del(ctx, s))
	expect.Deleted(e, s)
}

// delWhileHeld adds a sandbox, deletes it while the ADD is held at a place by
// a missing file, and asserts that nothing is attached in the end.
func delWhileHeld(ctx context.Context, e *thick.Env, s *node.Sandbox, place, gate string) {
	ginkgo.GinkgoHelper()
	add := e.Async(ctx, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, func(c script.Call) bool {
		return c.Command == "ADD" && c.ContainerID == s.ID && expect.PlaceOf(c) == place
	})
	del := e.Async(ctx, e.Request("DEL", s))

	// A daemon may end the ADD, or let DEL wait for it: the gate is opened
	// when DEL was answered, or evidently waits.
	var deleted, added thick.Outcome
	select {
	case deleted = <-del:
	case <-time.After(suite.Patience(time.Second)):
	}
	e.Touch(gate)
	if deleted.Answer == nil && deleted.Err == nil {
		Eventually(del).WithContext(ctx).WithTimeout(20*time.Second).Should(Receive(&deleted), "DEL does not end")
	}
	Eventually(add).WithContext(ctx).WithTimeout(20*time.Second).Should(Receive(&added), "ADD does not end")
	Expect(deleted.Err).NotTo(HaveOccurred())
	e.MustOK(deleted.Answer)
	Expect(added.Err).NotTo(HaveOccurred())
	if !added.Answer.OK() {
		Expect(added.Answer.Error()).NotTo(BeNil(), "an ADD that was ended gets a CNI error; the answer is %s", added.Answer)
	}
	expectNothingAttached(e, s)
}

// expectNothingAttached asserts that no ADD of a delegate came after the last
// DEL of the same attachment.
func expectNothingAttached(e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(s.InterfaceNames()).To(BeEmpty(), "interfaces after ADD and DEL have ended")
	Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
	last := map[string]string{}
	for _, c := range e.Calls() {
		if c.ContainerID == s.ID {
			last[expect.PlaceOf(c)] = c.Command
		}
	}
	Expect(last).To(HaveEach("DEL"), "the last command of each delegate")
	expect.NoOverlap(e.CallsFor("DEL", s))
}
