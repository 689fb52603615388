// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var stormCases = []thick.Case{
	{
		ID: "RES-06", Level: spec.Must, Source: "#1346, #1416", Needs: []spec.Feature{thick.FeatureProcess}, Body: restartStorm,
		Slow: 50 * time.Second, Alone: true, Timeout: 300 * time.Second,
		Title: "A restart storm (150 sandboxes at once) within a 50 MiB memory limit: every ADD succeeds, nobody is OOM-killed",
	},
}

// restartStorm is RES-06: real plugins, because it is their memory that kills.
func restartStorm(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	group, err := suite.NewCgroup(e.WorkDir(), expect.StormMemory)
	if err != nil {
		e.Skipf("a memory cgroup cannot be made here: %v; run the suite as root where one can", err)
	}
	e.DefaultNetwork(expect.RealBridge(e, "default", "br-storm", "10.67.0.0/16"))
	e.Definition("second", expect.RealBridge(e, "second", "br-second", "10.68.0.0/16"))
	var d *thick.Daemon
	Expect(group.With(func() { d = e.Start(ctx) })).To(Succeed())
	early := e.Sandbox(node.Networks("second"))
	e.MustOK(e.Add(ctx, early))
	var sandboxes []*node.Sandbox
	// A daemon that has an ADD wait does so for no longer on a slow machine: the
	// runtime's deadline is the same there.
	for range suite.Fewer(expect.StormSandboxes, expect.FewestStormSandboxes) {
		sandboxes = append(sandboxes, e.Sandbox(node.Networks("second")))
	}
	tells := e.Supports(thick.FeatureStatus) && statusAnswered(ctx, e)
	slowest := addAllAtOnce(ctx, e, sandboxes, func() {
		if tells { // what it tells at all is ST-01's
			Expect(statusAnswered(ctx, e)).To(BeTrue(), "STATUS in the storm")
		}
		e.MustOK(e.Del(ctx, early))
	})
	Expect(d.Ended()).To(BeFalse(), "the daemon ended; its log:\n%s", spec.LastLines(d.Log(), 20))
	killed, err := group.Killed()
	Expect(err).NotTo(HaveOccurred())
	peak, err := group.Peak()
	Expect(err).NotTo(HaveOccurred())
	e.Notef("%d sandboxes of two networks: the slowest ADD took %s; memory %.1f of %d MiB at most, %d processes killed for it",
		len(sandboxes), slowest.Round(time.Second/10), float64(peak)/(1<<20), expect.StormMemory>>20, killed)
	Expect(killed).To(BeZero(), "processes that the kernel killed for want of memory")
	for _, s := range sandboxes {
		Expect(s.InterfaceNames()).To(ContainElements("eth0", "net1"), "interfaces in the sandbox")
		e.MustOK(e.Del(ctx, s))
	}
}

// addAllAtOnce attaches all sandboxes at the same time, does something else
// meanwhile, and returns how long the slowest ADD took.
func addAllAtOnce(ctx context.Context, e *thick.Env, sandboxes []*node.Sandbox, meanwhile func()) time.Duration {
	ginkgo.GinkgoHelper()
	var slowest atomic.Int64
	var runtimes sync.WaitGroup
	failures := make(chan string, len(sandboxes))
	start := time.Now()
	for _, s := range sandboxes {
		runtimes.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, suite.Patience(expect.RuntimeDeadline))
			defer cancel()
			answer, err := e.TryPost(ctx, "/cni", e.Request("ADD", s))
			switch {
			case err != nil:
				failures <- err.Error()
			case !answer.OK():
				failures <- answer.String()
			}
			slowest.Store(max(slowest.Load(), int64(time.Since(start))))
		})
	}
	meanwhile()
	ginkgo.By("what came meanwhile was answered after " + time.Since(start).String())
	runtimes.Wait()
	close(failures)
	var all []string
	for f := range failures {
		all = append(all, f)
	}
	Expect(all).To(BeEmpty(), "ADDs of %d that failed", len(sandboxes))
	return time.Duration(slowest.Load())
}

func statusAnswered(ctx context.Context, e *thick.Env) bool {
	a, err := e.TryPost(ctx, "/cni", e.Request("STATUS", expect.Nobody(e)))
	return err == nil && a.OK()
}
