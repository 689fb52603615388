// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

const (
	// hangLimit is how long a delegate may run while some hang.
	hangLimit = 5 * time.Second
	// hangWatch is how long other pods are attached beside hanging ones: long
	// enough that each of those is ended, and begins anew, several times.
	hangWatch = 15 * time.Second
	// hangRounds is how often that is to be done, for which hangPatience is spent.
	hangRounds   = 20
	hangPatience = time.Minute
)

// hangingPods are how many pods' delegates hang. The first is none, with which
// the others are compared.
var hangingPods = []int{0, 4, 40, 100}

// hanging measures ADD of other pods while the delegates of a tenant's pods hang
// (SEC-11).
func (b *bench) hanging(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for _, s := range b.sides {
		namespace := s.NewNamespace()
		s.DefinitionIn(namespace, "hanging", s.FakeList("hanging", script.Fake{Add: script.FakeStep{Hang: true}}))
		for _, pods := range hangingPods {
			b.progress("%s: beside %d hanging pods", s.side.Name, pods)
			s.side.Hanging = append(s.side.Hanging, Hanging{Pods: pods, ADD: s.beside(ctx, namespace, pods)})
		}
	}
}

// beside measures ADD of a pod while so many others hang.
func (s *benchEnv) beside(ctx context.Context, namespace string, pods int) Latency {
	ginkgo.GinkgoHelper()
	s.ResetCalls()
	s.d = s.Start(ctx, thick.ConfigPatch(quiet), thick.DelegateTimeout(hangLimit))
	hang, end := context.WithCancel(ctx)
	defer end()
	var runtimes sync.WaitGroup
	var boxes []*node.Sandbox
	for range pods {
		box := s.Sandbox(node.PodNamespace(namespace), node.Networks("hanging"))
		boxes = append(boxes, box)
		runtimes.Go(func() { s.hang(hang, box) })
	}
	if pods > 0 {
		s.AwaitCalls(ctx, 1, func(c script.Call) bool { return c.Command == "ADD" && c.Network == "hanging" })
	}
	other := s.Sandbox()
	var times []time.Duration
	for began := time.Now(); time.Since(began) < hangWatch || len(times) < hangRounds && time.Since(began) < hangPatience; {
		times = append(times, s.timeShim(ctx, "ADD", other))
		s.timeShim(ctx, "DEL", other)
	}
	end()
	for _, call := range s.CallsOf("ADD") {
		if call.Network == "hanging" && node.Alive(call.PID) {
			_ = unix.Kill(call.PID, unix.SIGKILL) // not every daemon does when its client has gone
		}
	}
	runtimes.Wait()
	for _, box := range append(boxes, other) {
		s.MustOK(s.Del(ctx, box))
		s.DeletePod(box)
	}
	s.stop(ctx)
	return latencyOf(times)
}

// hang asks for a sandbox over and over, as a kubelet does whose pod does not
// start.
func (s *benchEnv) hang(ctx context.Context, box *node.Sandbox) {
	defer ginkgo.GinkgoRecover()
	for ctx.Err() == nil {
		for _, command := range []string{"ADD", "DEL"} {
			request, end := context.WithTimeout(ctx, expect.RuntimeDeadline)
			_, _ = s.TryPost(request, "/cni", s.Request(command, box))
			end()
		}
	}
}

// hangingGoals compare the waits with SEC-11's bound.
func hangingGoals(t *Side, add func(what, goal string, met bool, format string, args ...any)) {
	if len(t.Hanging) == 0 {
		return
	}
	without := t.Hanging[0].ADD
	for _, h := range t.Hanging[1:] {
		most := 2*without.P99 + float64(hangLimit.Milliseconds())
		add(h.what(), "p99 ≤ 2 × without + a delegate's limit (5 s)", h.ADD.P99 <= most, "p50 %.1f ms (without %.1f), p99 %.1f ms (without %.1f), n = %d",
			h.ADD.P50, without.P50, h.ADD.P99, without.P99, h.ADD.N)
	}
}
