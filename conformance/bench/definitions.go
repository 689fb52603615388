// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

const (
	// manyDefinitions is how many network definitions a cluster with tenants of
	// all kinds has, largeDefinitions how many of them are as large as an API
	// server takes.
	manyDefinitions  = 2000
	largeDefinitions = 100
	// largeSize is a large one's configuration, in bytes.
	largeSize = 1 << 20
)

// definitions measures a daemon within the memory limit of a node's pod, among
// few definitions and among many of which some are large (SEC-06): its memory,
// and an ADD of a small one.
func (b *bench) definitions(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for _, s := range b.sides {
		if !s.Supports(thick.FeatureProcess) || !s.Supports(thick.FeatureKubernetes) {
			continue
		}
		small := string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "plugins": []any{map[string]any{"type": "nop"}}}))
		s.Definition("small", small)
		few := s.among(ctx, b, 1, 0)
		b.progress("making %d definitions, %d of %d bytes", manyDefinitions, largeDefinitions, largeSize)
		name := func(i int) string { return fmt.Sprintf("many-%04d", i) }
		for i := range manyDefinitions {
			config := small
			if i < largeDefinitions {
				config = string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "plugins": []any{map[string]any{"type": "nop", "note": strings.Repeat("n", largeSize-100)}}}))
			}
			s.Definition(name(i), config)
		}
		many := s.among(ctx, b, manyDefinitions, largeDefinitions)
		s.side.Definitions = []Among{few, many}
		for i := range manyDefinitions {
			s.DeleteDefinition(name(i))
		}
	}
}

// among measures a daemon that knows so many definitions.
func (s *benchEnv) among(ctx context.Context, b *bench, count, large int) Among {
	ginkgo.GinkgoHelper()
	b.progress("%s: among %d definitions, %d of them large", s.side.Name, count, large)
	m := Among{Definitions: count, Large: large, LimitMiB: expect.StormMemory >> 20}
	start := func() { s.d = s.Start(ctx, thick.ConfigPatch(quiet), thick.WithoutWaiting()) }
	group, err := suite.NewCgroup(s.WorkDir(), expect.StormMemory)
	if err != nil {
		b.progress("without a memory limit: a memory cgroup cannot be made here: %v", err)
		m.LimitMiB = 0
		start()
	} else {
		Expect(group.With(start)).To(Succeed())
	}
	defer func() {
		s.stop(ctx)
		if err == nil {
			Eventually(func() error { return group.Remove() }).WithContext(ctx).WithTimeout(thick.TeardownTimeout).Should(Succeed())
		}
	}()
	if m.Ended = s.endsWithin(ctx, idleWatch); m.Ended {
		b.progress("%s: the daemon has ended", s.side.Name)
		return m
	}
	s.AwaitServing(ctx, s.d)
	m.ResidentMiB = mib(statusOf(s.d.PID())["VmRSS"] << 10)
	box := s.Sandbox(node.Networks("small"))
	var times, writes []time.Duration
	write := b.statusWrite(ctx)
	for round := range max(b.settings.Rounds/2, 20) {
		if write != nil {
			b.atRest(ctx)
			writes = append(writes, write(round))
		}
		b.atRest(ctx)
		times = append(times, s.timeShim(ctx, "ADD", box))
		s.timeShim(ctx, "DEL", box)
	}
	if write != nil {
		l := latencyOf(writes)
		m.StatusWrite = &l
	}
	m.ADD = latencyOf(times)
	m.PeakMiB = mib(statusOf(s.d.PID())["VmHWM"] << 10)
	s.DeletePod(box)
	return m
}

// endsWithin reports whether the daemon ends by itself in that time, as one does
// that the kernel kills for its memory.
func (s *benchEnv) endsWithin(ctx context.Context, d time.Duration) bool {
	ginkgo.GinkgoHelper()
	select {
	case <-s.d.Done():
		return true
	case <-time.After(d):
	case <-ctx.Done():
		ginkgo.Fail(ctx.Err().Error())
	}
	return false
}

// definitionGoals are what the definitions may cost.
func definitionGoals(t *Side, add func(what, goal string, met bool, format string, args ...any)) {
	if len(t.Definitions) < 2 {
		return
	}
	few, many := t.Definitions[0], t.Definitions[1]
	if few.Ended || many.Ended {
		add(fmt.Sprintf("daemon, %s", many.what()), "≤ 45 MiB", false, "it ended within %s", idleWatch)
		return
	}
	add(fmt.Sprintf("daemon, %s", many.what()), "≤ 45 MiB", many.PeakMiB <= 45, "%.1f MiB, %.1f at the most", many.ResidentMiB, many.PeakMiB)
	add("ADD of a small one among them, without the API server's own write", "≤ 1.1 × among few", many.own() <= 1.1*few.own(),
		"%.2f × (%.1f : %.1f ms; with it %.1f : %.1f)", many.own()/few.own(), many.own(), few.own(), many.ADD.P50, few.ADD.P50)
}
