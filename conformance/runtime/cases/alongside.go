// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var alongsideCases = []runtime.Case{
	{ID: "RT-20", Level: spec.Must, Source: "CNI §3, go-cni#76, containerd#7685", Body: oneAtATime, Needs: []spec.Feature{runtime.FeatureMulti},
		Title: "Operations for one container never overlap, across its networks too"},
}

// patience is how long something is watched that must not happen.
const patience = 500 * time.Millisecond

func oneAtATime(ctx context.Context, e *runtime.Env) {
	slow := script.FakeStep{Delay: "250ms"} // longer than a busy machine takes to start the next one
	for _, p := range forward {
		e.Script(p, script.Fake{Add: slow, Del: slow})
	}
	first, second := e.Network(), e.Network()
	a := e.Attach(first, second)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	for _, command := range []string{"ADD", "DEL"} {
		calls := e.CallsOf(command, a)
		Expect(runtime.Types(calls)).To(HaveLen(6), "executions with %s for two networks", command)
		expectApart(calls, command+" of a container with two networks")
	}
	if e.Has(runtime.FeatureLifecycle) {
		delDuringAdd(ctx, e, first, second)
	}
}

// delDuringAdd asks for a DEL while the ADD is in progress.
func delDuringAdd(ctx context.Context, e *runtime.Env, networks ...*runtime.Network) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a DEL of a container during its ADD")
	e.ResetCalls()
	a := e.Attach(networks...)
	alongside(ctx, e, script.Fake{Add: script.FakeStep{WaitFor: waited(e)}}, "ADD", func() runtime.Answer { return e.Add(ctx, a) },
		"DEL", func() runtime.Answer { return e.Del(ctx, a) })
	e.MustOK(e.Del(ctx, a))
}

// waited is a file that plugins wait for.
func waited(e *runtime.Env) string { return filepath.Join(e.Dir, "released") }

// alongside asks for one thing while another is in progress, whose second plugin
// waits for the file waited, and asserts that no plugin is executed by both at
// once. A runtime waits with the other, refuses it, or ends the first.
func alongside(ctx context.Context, e *runtime.Env, waits script.Fake, command string, ask func() runtime.Answer, meanwhile string, askMeanwhile func() runtime.Answer) (first, second runtime.Answer) {
	ginkgo.GinkgoHelper()
	e.Script("p2", waits)
	answer := e.Begin(ask)
	var slow script.Call
	Eventually(func() []string {
		calls := e.Node.CallsOf(command)
		if len(calls) > 0 {
			slow = calls[len(calls)-1]
		}
		return runtime.Types(calls)
	}).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(node.PollInterval).Should(ContainElement("p2"), "the plugins that were executed with %s", command)
	already := len(e.Node.CallsOf(meanwhile))
	other := e.Begin(askMeanwhile)
	Consistently(func() []string {
		if calls := e.Node.CallsOf(meanwhile); node.Alive(slow.PID) {
			return runtime.Types(calls[already:])
		}
		return nil
	}).WithContext(ctx).WithTimeout(patience).WithPolling(node.PollInterval).
		Should(BeEmpty(), "plugins that were executed with %s while one of %s was running", meanwhile, command)
	e.Touch(waited(e))
	first, second = <-answer, <-other
	// A plugin that was ended has not recorded its end.
	calls := slices.DeleteFunc(e.Calls(), func(c script.Call) bool { return c.PID == slow.PID && c.End.IsZero() })
	expectApart(calls, meanwhile+" that was asked for during "+command)
	Expect(os.Remove(waited(e))).To(Succeed())
	e.Script("p2", script.Fake{})
	return first, second
}
