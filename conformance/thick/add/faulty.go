// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// addDelegateHangs is ADD-08; in the second row the rollback's DEL hangs too.
func addDelegateHangs(ctx context.Context, e *thick.Env) {
	const limit = 2 * time.Second // in which every other delegate has to start and end
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("never", e.FakeList("never", expect.VethFake()))
	for name, del := range map[string]script.FakeStep{
		"hanging":  {},
		"stubborn": {Hang: true, Child: true, Times: 1},
	} {
		e.Definition(name, e.FakeList(name, script.Fake{Add: script.FakeStep{Hang: true, Child: true, Times: 1}, Del: del}))
	}
	e.Start(ctx, thick.DelegateTimeout(limit))
	for _, name := range []string{"hanging", "stubborn"} {
		ginkgo.By(name)
		s := e.Sandbox(node.Networks(name + ",never"))
		start := time.Now()
		err := expect.Refused(expect.AwaitAnswer(e.Async(ctx, e.Request("ADD", s))))
		Expect(time.Since(start)).To(BeNumerically(">=", limit), "the delegate has all of its time")
		Expect(err.Code).To(Equal(uint(11)), "try again later: %v", err)
		Expect(err.Error()).To(ContainSubstring(name), "the error names the network")
		Expect(expect.Trace(e.CallsFor("ADD", s))).To(Equal([]string{"default as eth0", name + " as net1"}), "delegates that were called at ADD, in order")
		Expect(slices.Compact(expect.Trace(e.CallsFor("DEL", s)))).To(Equal([]string{name + " as net1", "default as eth0"}), "the rollback")
		Expect(e.CallsFor("ADD", s)[1].ChildPID).NotTo(BeZero(), "the process that the delegate started")
		expect.Dead(expect.CallsOfSandbox(e, s))
		e.MustOK(e.Del(ctx, s))
		expect.NothingLeft(e, s)
	}
	defaultHangs(ctx, e)
}

// defaultHangs is ADD-08 for the default network, and for a plugin in the middle
// of its list.
func defaultHangs(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	hanging := script.Fake{Add: script.FakeStep{Hang: true, Child: true, Times: 1}}
	for what, list := range map[string][]script.Fake{"first": {hanging, expect.VethFake()}, "second": {expect.VethFake(), hanging, {}}} {
		ginkgo.By("the " + what + " plugin of the default network hangs")
		e.DefaultNetwork(e.FakeList("default", list...))
		s := e.Sandbox(node.Networks("never"))
		err := expect.Refused(expect.AwaitAnswer(e.Async(ctx, e.Request("ADD", s))))
		Expect(err.Code).To(Equal(uint(11)), "try again later: %v", err)
		Expect(node.NetworksOf(e.CallsFor("ADD", s))).NotTo(ContainElement("never"), "what comes after the network that hangs")
		Expect(e.CallsFor("DEL", s)).To(HaveLen(len(list)), "the rollback, by every plugin of the list")
		expect.Dead(expect.CallsOfSandbox(e, s))
		expect.NothingLeft(e, s)
	}
}

// memoryBound is how much a daemon may grow over all of the broken delegates:
// less than one of them prints.
const memoryBound = 64 << 20

// addDelegateBroken is ADD-09.
func addDelegateBroken(ctx context.Context, e *thick.Env) {
	// A type of its own, so that nobody names it by accident.
	Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), filepath.Join(e.BinDir, "erratic"))).To(Succeed())
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	for name, step := range expect.BrokenSteps {
		step.Times = 1
		e.Definition(name, e.FakeList(name, script.Fake{Type: "erratic", Add: step}))
	}
	e.Definition("absent", e.FakeList("absent", script.Fake{Type: "no-such-plugin"}))
	d := e.Start(ctx)
	before := expect.PeakMemory(e, d)
	for _, name := range slices.Sorted(maps.Keys(expect.BrokenSteps)) {
		ginkgo.By(name)
		s := e.Sandbox(node.Networks(name))
		expectBroken(ctx, e, s, "erratic", name)
		Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal([]string{name + " as net1", "default as eth0"}), "the rollback")
		expect.Dead(expect.CallsOfSandbox(e, s))
		expect.NothingLeft(e, s)
	}
	Expect(expect.PeakMemory(e, d)-before).To(BeNumerically("<", memoryBound), "bytes by which the daemon's peak memory grew")
	addDelegateAbsent(ctx, e)
}

// addDelegateAbsent is ADD-09 for a plugin that is not installed: its DEL
// cannot run either until it is. A daemon may look beforehand, and run none.
func addDelegateAbsent(ctx context.Context, e *thick.Env) {
	ginkgo.By("a plugin that is not installed")
	s := e.Sandbox(node.Networks("absent"))
	expectBrokenNamed(ctx, e, s, "no-such-plugin", "absent")
	attached := expect.Trace(e.CallsFor("ADD", s))
	Expect(attached).To(Or(BeEmpty(), Equal([]string{"default as eth0"})), "what was attached before the plugin was missed")
	Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal(attached), "the rollback")
	Expect(s.InterfaceNames()).To(BeEmpty(), "interfaces in the sandbox")
	Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), filepath.Join(e.BinDir, "no-such-plugin"))).To(Succeed())
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
	e.MustOK(e.Add(ctx, s))
}

func expectBroken(ctx context.Context, e *thick.Env, s *node.Sandbox, plugin, network string) {
	ginkgo.GinkgoHelper()
	expectBrokenNamed(ctx, e, s, plugin, network)
	Expect(e.CallsFor("ADD", s)).NotTo(BeEmpty(), "calls of delegates at ADD")
	Expect(e.CallsFor("ADD", s)[0].Network).To(Equal("default"), "the network whose delegate was called first at ADD")
}

// expectBrokenNamed asserts that an ADD fails and says by whom.
func expectBrokenNamed(ctx context.Context, e *thick.Env, s *node.Sandbox, plugin, network string) {
	ginkgo.GinkgoHelper()
	err := expect.CNIError(e.Add(ctx, s))
	Expect(err.Msg).To(ContainSubstring(plugin), "the msg names the plugin")
	Expect(err.Msg).To(MatchRegexp(`(^|[^a-z-])`+regexp.QuoteMeta(network)+`($|[^a-z-])`), "the msg names the network")
	Expect(len(err.Error())).To(BeNumerically("<", 64<<10), "an error is for people to read")
}
