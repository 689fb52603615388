// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
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
	slow := script.FakeStep{Delay: "50ms"}
	for _, p := range forward {
		e.Script(p, script.Fake{Add: slow, Del: slow})
	}
	first, second := e.Network(), e.Network()
	a := e.Attach(first, second)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Del(ctx, a))
	for _, command := range []string{"ADD", "DEL"} {
		calls := e.CallsOf(command, a)
		Expect(calls).To(HaveLen(6), "executions with %s for two networks", command)
		expectApart(calls, command+" of a container with two networks")
	}
	if e.Has(runtime.FeatureLifecycle) {
		delDuringAdd(ctx, e, first, second)
	}
}

// delDuringAdd asks for a DEL while the ADD is in progress: a runtime waits, or
// refuses it, or ends the ADD first.
func delDuringAdd(ctx context.Context, e *runtime.Env, networks ...*runtime.Network) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a DEL of a container during its ADD")
	released := filepath.Join(e.Dir, "released")
	e.Script("p2", script.Fake{Add: script.FakeStep{WaitFor: released}})
	a := e.Attach(networks...)
	added := e.Begin(func() runtime.Answer { return e.Add(ctx, a) })
	slow := e.AwaitCalls(ctx, "ADD", a, 2)[1]
	deleted := e.Begin(func() runtime.Answer { return e.Del(ctx, a) })
	Consistently(func() []string {
		if calls := e.CallsOf("DEL", a); node.Alive(slow.PID) {
			return runtime.Types(calls)
		}
		return nil
	}).WithContext(ctx).WithTimeout(patience).WithPolling(node.PollInterval).
		Should(BeEmpty(), "plugins that were executed with DEL while one of the container's ADD was running")
	e.Touch(released)
	<-added
	<-deleted
	// A plugin that was ended has not recorded its end.
	calls := slices.DeleteFunc(append(e.CallsOf("ADD", a), e.CallsOf("DEL", a)...), func(c script.Call) bool { return c.PID == slow.PID && c.End.IsZero() })
	expectApart(calls, "DEL of a container that was asked for during its ADD")
	e.MustOK(e.Del(ctx, a))
}
