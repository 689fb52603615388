// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var processesCases = []thick.Case{
	{
		ID: "SEC-16", Level: spec.Must, Source: "OPS", Body: securityProcesses, Timeout: 2 * time.Minute,
		Title: "A delegate that leaves its process group or session, stops itself, or holds its pipes is ended at its time limit",
	},
}

const (
	// escapeLimit is the time limit of a delegate in SEC-16.
	escapeLimit = 2 * time.Second
	// escapeSlack is how much later an answer may come: as long as a delegate's
	// pipes may be held after its end, twice over, on a busy machine.
	escapeSlack = 8 * time.Second
)

// escapes are ways out of a process group.
func escapes() []string {
	all := []string{"group", "stop", "session"}
	if cgroupsOfOwn() {
		all = append(all, "orphan")
	}
	return all
}

// cgroupsOfOwn reports whether a process of this machine can make cgroups that
// the kernel ends as a whole.
func cgroupsOfOwn() bool {
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		path := root + "/thicket-conformance-" + node.RandomHex(6)
		if os.Mkdir(path, 0o755) != nil {
			continue
		}
		_, err := os.Stat(path + "/cgroup.freeze")
		_ = os.Remove(path)
		if err == nil {
			return true
		}
	}
	return false
}

// securityProcesses is SEC-16.
func securityProcesses(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	for _, how := range escapes() {
		e.Definition(how, e.FakeList(how, script.Fake{Add: script.FakeStep{Leave: how, Hang: true, Times: 1}}))
	}
	e.Definition("pipes", e.FakeList("pipes", script.Fake{Add: script.FakeStep{Leave: "session", Times: 1}}))
	d := e.Start(ctx, thick.DelegateTimeout(escapeLimit))
	for _, how := range escapes() {
		ginkgo.By("a delegate that leaves by " + how + " and hangs")
		escapeAtLimit(ctx, e, how)
		ginkgo.By("its client goes away")
		escapeOnCancel(ctx, e, how)
	}
	ginkgo.By("a delegate that leaves its pipes to somebody else")
	escapeHoldsPipes(ctx, e)
	ginkgo.By("SIGTERM while one hangs")
	escapeHoldsNoStop(ctx, e, d)
}

// escapeAtLimit asserts that a delegate and what it started end at its limit.
func escapeAtLimit(ctx context.Context, e *thick.Env, how string) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(how))
	start := time.Now()
	_ = expect.Refused(expect.AwaitAnswer(e.Async(ctx, e.Request("ADD", s))))
	Expect(time.Since(start)).To(BeNumerically("<", escapeLimit+suite.Patience(escapeSlack)), "the time of an ADD whose delegate may run for %s", escapeLimit)
	expect.Dead(expect.CallsOfSandbox(e, s))
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
}

// escapeOnCancel asserts the same for a client that goes away first.
func escapeOnCancel(ctx context.Context, e *thick.Env, how string) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks(how))
	leaving, leave := context.WithCancel(ctx)
	defer leave()
	answer := e.Async(leaving, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, expect.CallOf(s, "ADD", how))
	leave()
	Eventually(answer).WithTimeout(escapeSlack).Should(Receive(), "an answer to the request")
	e.MustOK(e.Del(ctx, s))
	expect.Dead(expect.CallsOfSandbox(e, s))
	expect.NothingLeft(e, s)
}

// escapeHoldsPipes is a delegate that succeeds and leaves a process with its
// pipes. Whether that is allowed, as for a DHCP client, or the process is ended
// is the target's choice; the answer comes in time.
func escapeHoldsPipes(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks("pipes"))
	start := time.Now()
	expect.AwaitAnswer(e.Async(ctx, e.Request("ADD", s)))
	Expect(time.Since(start)).To(BeNumerically("<", escapeLimit+suite.Patience(escapeSlack)), "the time of an ADD whose delegate has ended")
	for _, c := range e.CallsFor("ADD", s) {
		if c.ChildPID != 0 {
			_ = syscall.Kill(c.ChildPID, syscall.SIGKILL)
		}
	}
	e.MustOK(e.Del(ctx, s))
	expect.NothingLeft(e, s)
}

// escapeHoldsNoStop stops the daemon while a delegate is out of its reach.
func escapeHoldsNoStop(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	s := e.Sandbox(node.Networks("group"))
	answer := e.Async(ctx, e.Request("ADD", s))
	e.AwaitCalls(ctx, 1, expect.CallOf(s, "ADD", "group"))
	d.Terminate()
	Eventually(d.Done()).WithTimeout(escapeLimit+escapeSlack).Should(BeClosed(), "the daemon's end after SIGTERM")
	Eventually(answer).WithTimeout(escapeSlack).Should(Receive(), "an answer to the request")
	expect.Dead(expect.CallsOfSandbox(e, s))
	if e.Supports(thick.FeatureRestart) {
		e.Start(ctx)
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, e.Request("DEL", s)))
	}
}
