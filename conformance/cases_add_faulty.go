// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// addDelegateHangs is ADD-08; in the second row the rollback's DEL hangs too.
func addDelegateHangs(ctx context.Context, e *Env) {
	const limit = time.Second
	e.DefaultNetwork(e.FakeList("default", vethFake()))
	e.Definition("never", e.FakeList("never", vethFake()))
	for name, del := range map[string]FakeStep{
		"hanging":  {},
		"stubborn": {Hang: true, Child: true, Times: 1},
	} {
		e.Definition(name, e.FakeList(name, Fake{Add: FakeStep{Hang: true, Child: true, Times: 1}, Del: del}))
	}
	e.Start(ctx, DelegateTimeout(limit))
	for _, name := range []string{"hanging", "stubborn"} {
		ginkgo.By(name)
		s := e.Sandbox(Networks(name + ",never"))
		start := time.Now()
		err := expectRefused(answered(e.Async(ctx, e.Request("ADD", s))))
		Expect(time.Since(start)).To(BeNumerically(">=", limit), "the delegate has all of its time")
		Expect(err.Code).To(Equal(uint(11)), "try again later: %v", err)
		Expect(err.Error()).To(ContainSubstring(name), "the error names the network")
		Expect(trace(e.CallsFor("ADD", s))).To(Equal([]string{"default as eth0", name + " as net1"}))
		Expect(slices.Compact(trace(e.CallsFor("DEL", s)))).To(Equal([]string{name + " as net1", "default as eth0"}), "the rollback")
		Expect(e.CallsFor("ADD", s)[1].ChildPID).NotTo(BeZero(), "the process that the delegate started")
		expectDead(callsOfSandbox(e, s))
		e.MustOK(e.Del(ctx, s))
		expectNothingLeft(e, s)
	}
}

// expectDead asserts that no delegate runs any more, nor what it started.
func expectDead(calls []Call) {
	ginkgo.GinkgoHelper()
	for _, c := range calls {
		for _, pid := range []int{c.PID, c.ChildPID} {
			if pid != 0 {
				Eventually(alive).WithArguments(pid).WithTimeout(3*time.Second).Should(BeFalse(),
					"process %d of %s of %s (plugin %d, child %d) still runs", pid, c.Command, c.Network, c.PID, c.ChildPID)
			}
		}
	}
}

// brokenSteps are the ways in which a delegate fails without a CNI error.
var brokenSteps = map[string]FakeStep{
	"segfault":    {Signal: "SIGSEGV"},
	"killed":      {Signal: "SIGKILL"},
	"garbled":     {Stdout: "Segmentation fault (core dumped)\n"},
	"half-result": {Stdout: `{"cniVersion":"1.0.0","ips":[{"address":"192.0.2.7/24"`},
	"array":       {Stdout: "[]"},
	"blank":       {Stdout: "\n"},
	"failing":     {Stdout: "panic: runtime error\n", Exit: 1},
	"mute":        {Exit: 1},
	"no-error":    {Stdout: "{}", Exit: 1},
	"flood":       {StdoutBytes: 100 << 20},
	"flood-fail":  {StdoutBytes: 100 << 20, Exit: 1},
	"noise":       {StderrBytes: 100 << 20, Exit: 1},
}

// memoryBound is how much a daemon may grow over all of the broken delegates:
// less than one of them prints.
const memoryBound = 64 << 20

// addDelegateBroken is ADD-09.
func addDelegateBroken(ctx context.Context, e *Env) {
	// A type of its own, so that naming it is no accident.
	Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), filepath.Join(e.BinDir, "erratic"))).To(Succeed())
	e.DefaultNetwork(e.FakeList("default", vethFake()))
	for name, step := range brokenSteps {
		step.Times = 1
		e.Definition(name, e.FakeList(name, Fake{Type: "erratic", Add: step}))
	}
	e.Definition("absent", e.FakeList("absent", Fake{Type: "no-such-plugin"}))
	d := e.Start(ctx)
	before := peakMemory(e, d)
	for _, name := range slices.Sorted(maps.Keys(brokenSteps)) {
		ginkgo.By(name)
		s := e.Sandbox(Networks(name))
		expectBroken(ctx, e, s, "erratic", name)
		Expect(trace(e.CallsFor("DEL", s))).To(Equal([]string{name + " as net1", "default as eth0"}), "the rollback")
		expectDead(callsOfSandbox(e, s))
		expectNothingLeft(e, s)
	}
	Expect(peakMemory(e, d)-before).To(BeNumerically("<", memoryBound), "bytes by which the daemon's peak memory grew")
	addDelegateAbsent(ctx, e)
}

// addDelegateAbsent is ADD-09 for a plugin that is not installed: its DEL
// cannot run either until it is.
func addDelegateAbsent(ctx context.Context, e *Env) {
	ginkgo.By("a plugin that is not installed")
	s := e.Sandbox(Networks("absent"))
	expectBroken(ctx, e, s, "no-such-plugin", "absent")
	Expect(trace(e.CallsFor("DEL", s))).To(Equal([]string{"default as eth0"}), "the rollback")
	Expect(s.InterfaceNames()).To(BeEmpty())
	Expect(os.Symlink(filepath.Join(e.BinDir, "fake"), filepath.Join(e.BinDir, "no-such-plugin"))).To(Succeed())
	e.MustOK(e.Del(ctx, s))
	expectNothingLeft(e, s)
	e.MustOK(e.Add(ctx, s))
}

func expectBroken(ctx context.Context, e *Env, s *Sandbox, plugin, network string) {
	ginkgo.GinkgoHelper()
	err := expectCNIError(e.Add(ctx, s))
	Expect(err.Msg).To(ContainSubstring(plugin), "the msg names the plugin")
	Expect(err.Msg).To(MatchRegexp(`(^|[^a-z-])`+regexp.QuoteMeta(network)+`($|[^a-z-])`), "the msg names the network")
	Expect(len(err.Error())).To(BeNumerically("<", 64<<10), "an error is for people to read")
	Expect(e.CallsFor("ADD", s)).NotTo(BeEmpty())
	Expect(e.CallsFor("ADD", s)[0].Network).To(Equal("default"))
}

var peakLine = regexp.MustCompile(`(?m)^VmHWM:\s+([0-9]+) kB$`)

// peakMemory is the most memory that the daemon has ever had, in bytes; 0 for
// one without a process of its own.
func peakMemory(e *Env, d *Daemon) int64 {
	ginkgo.GinkgoHelper()
	if !e.Supports(FeatureProcess) {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	Expect(err).NotTo(HaveOccurred())
	found := peakLine.FindSubmatch(status)
	Expect(found).To(HaveLen(2), "VmHWM in %s", status)
	kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
	Expect(err).NotTo(HaveOccurred())
	return kilobytes << 10
}
