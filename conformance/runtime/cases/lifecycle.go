// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var lifecycleCases = []runtime.Case{
	{ID: "RT-11", Level: spec.Must, Source: "CNI §3, containerd#5768, containerd#12130, cni#797", Body: deletedAfterFailure, Needs: []spec.Feature{runtime.FeatureLifecycle},
		Title: "A failed ADD is followed by DEL of the whole list"},
	{ID: "RT-12", Level: spec.Must, Source: "CNI §3, containerd#12923, podman#3759", Body: deletedAfterDeath, Needs: []spec.Feature{runtime.FeatureLifecycle, runtime.FeatureKill}, Timeout: 2 * time.Minute,
		Title: "DEL comes although the runtime was killed during or after ADD, or the node rebooted"},
}

func deletedAfterFailure(ctx context.Context, e *runtime.Env) {
	e.Script("p2", script.Fake{Add: failing(117)})
	a := e.Attach(e.Network())
	e.MustFail(e.Add(ctx, a), "ADD with a second plugin that fails")
	calls := e.AwaitCalls(ctx, "DEL", a, 3)
	expectOrder(calls[:3], backward, "DEL after an ADD that failed")
}

func deletedAfterDeath(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	killedDuring(ctx, e, n)

	ginkgo.By("the runtime is killed after an ADD, started again, and the container removed")
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.Restart(ctx)
	e.MustOK(e.Del(ctx, a))
	expectFinal(expectDeleted(ctx, e, a), "after the runtime was killed")

	ginkgo.By("the node reboots after an ADD, and the container is removed")
	b := e.Attach(n)
	e.MustOK(e.Add(ctx, b))
	e.Reboot(ctx)
	e.Del(ctx, b)
	for _, c := range expectDeleted(ctx, e, b) {
		Expect(c.Container).To(BeZero(), "the network namespace at CNI_NETNS %q of %s at DEL after a reboot", c.Netns, c.Type)
	}
}

// killedDuring has the runtime killed while its second plugin is at work.
func killedDuring(ctx context.Context, e *runtime.Env, n *runtime.Network) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the runtime is killed during an ADD, started again, and the container removed")
	released := filepath.Join(e.Dir, "released")
	e.Script("p2", script.Fake{Add: script.FakeStep{WaitFor: released}})
	a := e.Attach(n)
	answer := e.Begin(func() runtime.Answer { return e.Add(ctx, a) })
	calls := e.AwaitCalls(ctx, "ADD", a, 2)
	e.Kill()
	<-answer
	e.Touch(released)
	e.Script("p2", script.Fake{})
	// What is left of the ADD ends before the DEL: a runtime that was killed cannot
	// wait for it.
	Eventually(func() bool { return node.Alive(calls[1].PID) }).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(node.PollInterval).Should(BeFalse(), "the plugin ends")
	e.Start(ctx)
	e.Del(ctx, a)
	expectDeleted(ctx, e, a)
}

// expectDeleted asserts that DEL of the whole list was executed, and returns the
// executions.
func expectDeleted(ctx context.Context, e *runtime.Env, a *runtime.Attachment) []script.Call {
	ginkgo.GinkgoHelper()
	calls := e.AwaitCalls(ctx, "DEL", a, 3)[:3]
	expectOrder(calls, backward, "DEL")
	return calls
}
