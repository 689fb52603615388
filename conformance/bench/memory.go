// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/procfs"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

const (
	idlePods        = 110
	idleDefinitions = 1000
	// idleWatch is how long a daemon's processor time is watched.
	idleWatch   = 5 * time.Second
	longWorkers = 8
	// stormSample is how often memory is read in the storm.
	stormSample = 20 * time.Millisecond
	// largeStorm is how many sandboxes the larger storm has.
	largeStorm = 500
	// aloneAtATime is how many sandboxes have plugins executed at a time when no thick
	// plugin decides it.
	aloneAtATime = 8
)

// idle measures daemons that have nothing to do: one that knows nothing, one
// that knows pods, and one that knows definitions too.
func (b *bench) idle(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for _, s := range b.sides {
		if !s.Supports(thick.FeatureProcess) {
			continue
		}
		s.footprint(ctx, b, 0, 0)
		var pods []*node.Sandbox
		for range idlePods {
			pods = append(pods, s.Sandbox(node.WithoutNetns(), node.Networks("idle-0001,idle-0002")))
		}
		s.footprint(ctx, b, idlePods, 0)
		config := string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "plugins": []any{map[string]any{"type": "macvlan", "master": "eth1", "mode": "bridge",
			"ipam": map[string]any{"type": "host-local", "subnet": "10.1.2.0/24", "routes": []any{map[string]any{"dst": "0.0.0.0/0"}}}}}}))
		for i := range idleDefinitions {
			s.Definition(fmt.Sprintf("idle-%04d", i), config)
		}
		s.footprint(ctx, b, idlePods, idleDefinitions)
		for i := range idleDefinitions {
			s.DeleteDefinition(fmt.Sprintf("idle-%04d", i))
		}
		for _, p := range pods {
			s.DeletePod(p)
		}
	}
}

// footprint starts a daemon, watches it for a while and reads its memory.
func (s *benchEnv) footprint(ctx context.Context, b *bench, pods, definitions int) {
	ginkgo.GinkgoHelper()
	b.progress("%s: idle with %d pods and %d definitions", s.side.Name, pods, definitions)
	s.start(ctx)
	before := processorTime(s.d.PID())
	select {
	case <-time.After(idleWatch):
	case <-ctx.Done():
		ginkgo.Fail(ctx.Err().Error())
	}
	idle := &s.side.Idle
	idle.CPU = 100 * (processorTime(s.d.PID()) - before).Seconds() / idleWatch.Seconds()
	status := statusOf(s.d.PID())
	idle.ResidentMiB = mib(status["VmRSS"] << 10)
	idle.Parts = append(idle.Parts, Footprint{Pods: pods, Definitions: definitions, ResidentMiB: idle.ResidentMiB,
		AnonymousMiB: mib(status["RssAnon"] << 10), FileMiB: mib(status["RssFile"] << 10)})
	s.stop(ctx)
}

// processorTime is what a process has used so far.
func processorTime(pid int) time.Duration {
	ginkgo.GinkgoHelper()
	p, err := procfs.NewProc(pid)
	Expect(err).NotTo(HaveOccurred())
	stat, err := p.Stat()
	Expect(err).NotTo(HaveOccurred())
	return time.Duration(stat.CPUTime() * float64(time.Second))
}

// sampleOf reads a daemon's memory, descriptors and threads.
func sampleOf(pid int) Sample {
	ginkgo.GinkgoHelper()
	status := statusOf(pid)
	s := Sample{MiB: float64(status["VmRSS"]) / 1024, Threads: int(status["Threads"])}
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	Expect(err).NotTo(HaveOccurred())
	s.Descriptors = len(descriptors)
	return s
}

// statusOf reads the numbers of /proc/PID/status; memory is in KiB.
func statusOf(pid int) map[string]int64 {
	ginkgo.GinkgoHelper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	Expect(err).NotTo(HaveOccurred())
	numbers := map[string]int64{}
	for line := range strings.SplitSeq(string(status), "\n") {
		key, value, _ := strings.Cut(line, ":")
		if n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); err == nil {
			numbers[key] = n
		}
	}
	return numbers
}

// storms measures the restart storm of RES-06, with real plugins, and a larger one
// of a target that has survived it.
func (b *bench) storms(ctx context.Context) {
	ginkgo.GinkgoHelper()
	for i, s := range b.sides {
		if !s.Supports(thick.FeatureProcess) {
			continue
		}
		s.side.Storm = b.storm(ctx, s, i, expect.StormSandboxes, expect.StormMemory)
		if small := s.side.Storm; i == 0 && small != nil && small.survived() {
			s.side.LargeStorm = b.storm(ctx, s, i, largeStorm, small.limitFor(largeStorm))
		}
	}
}

// limitFor is the limit of a storm of more sandboxes, in bytes: the same, and what
// the kernel has for the interfaces of those that are more, as this storm had it.
// A daemon that runs plugins in its own cgroup cannot do with less.
func (s *Storm) limitFor(sandboxes int) int64 {
	more := s.KernelMiB * float64(sandboxes-s.Sandboxes) / float64(s.Sandboxes)
	return int64((s.LimitMiB + more) * (1 << 20))
}

// storm is nil where no memory cgroup can be made.
func (b *bench) storm(ctx context.Context, s *benchEnv, number, sandboxes int, limit int64) *Storm {
	ginkgo.GinkgoHelper()
	b.progress("%s: %d sandboxes at once in %d MiB", s.side.Name, sandboxes, limit>>20)
	group, err := suite.NewCgroup(s.WorkDir(), limit)
	if err != nil {
		b.progress("the storm is left out: a memory cgroup cannot be made here: %v", err)
		return nil
	}
	result := s.storm(ctx, group, number, sandboxes)
	result.LimitMiB = mib(limit)
	Eventually(func() error { return group.Remove() }).WithContext(ctx).WithTimeout(thick.TeardownTimeout).Should(Succeed())
	return result
}

func (s *benchEnv) storm(ctx context.Context, group *suite.Cgroup, number, sandboxes int) *Storm {
	ginkgo.GinkgoHelper()
	// It is measured, and need not end the benchmark.
	s.AllowLeftovers("what a storm leaves is in the report")
	s.linkReal(number)
	s.DefaultNetwork(expect.RealBridge(s.Env, "default", fmt.Sprintf("br-storm%d", number), fmt.Sprintf("10.%d.0.0/16", 70+number)))
	s.Definition("real", expect.RealBridge(s.Env, "real", fmt.Sprintf("br-real%d", number), fmt.Sprintf("10.%d.0.0/16", 80+number)))
	Expect(group.With(func() { s.start(ctx) })).To(Succeed())
	var boxes []*node.Sandbox
	for range sandboxes {
		boxes = append(boxes, s.Sandbox(node.Networks("real")))
	}
	result := &Storm{Sandboxes: sandboxes}
	var failed atomic.Int64
	var runtimes sync.WaitGroup
	start := time.Now()
	for _, box := range boxes {
		runtimes.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, expect.RuntimeDeadline)
			defer cancel()
			if answer, err := s.TryPost(ctx, "/cni", s.Request("ADD", box)); err != nil || !answer.OK() {
				failed.Add(1)
			}
		})
	}
	over := make(chan struct{})
	go func() { runtimes.Wait(); close(over) }()
	result.Memory = watch(group, start, over)
	result.Seconds = time.Since(start).Seconds()
	result.Failed = int(failed.Load())
	killed, err := group.Killed()
	Expect(err).NotTo(HaveOccurred())
	result.Killed = killed
	if kernel, err := group.Kernel(); err == nil { // an older kernel does not say
		result.KernelMiB = mib(kernel)
	}
	if !s.d.Ended() {
		s.stop(ctx)
	}
	// Another daemon, without the limit, cleans up after this one.
	s.start(ctx)
	for _, box := range boxes {
		s.MustOK(s.Del(ctx, box))
		s.DeletePod(box)
		result.Left += len(s.Leftovers(box))
	}
	s.stop(ctx)
	if number == 0 && result.survived() {
		result.Alone = s.stormAlone(ctx, boxes).Seconds()
	}
	return result
}

// watch reads the cgroup's memory until it is over.
func watch(g *suite.Cgroup, start time.Time, over <-chan struct{}) []Sample {
	tick := time.NewTicker(stormSample)
	defer tick.Stop()
	var all []Sample
	for {
		select {
		case <-over:
			return all
		case <-tick.C:
			if n, err := g.Usage(); err == nil {
				all = append(all, Sample{At: time.Since(start).Seconds(), MiB: mib(n)})
			}
		}
	}
}

// long runs many pairs against the target alone.
func (b *bench) long(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s := b.sides[0]
	if !s.Supports(thick.FeatureProcess) {
		return
	}
	nopNetworks(s.Env)
	s.start(ctx)
	boxes := make(chan *node.Sandbox, longWorkers)
	for range longWorkers {
		boxes <- s.Sandbox(node.Networks("second"))
	}
	step := max(b.settings.Pairs/20, 1)
	for done := 0; done < b.settings.Pairs; done += step {
		b.progress("%s: pair %d of %d", s.side.Name, done, b.settings.Pairs)
		var workers sync.WaitGroup
		for range step {
			box := <-boxes
			workers.Go(func() {
				defer ginkgo.GinkgoRecover()
				s.MustOK(s.Add(ctx, box))
				s.MustOK(s.Del(ctx, box))
				boxes <- box
			})
		}
		workers.Wait()
		sample := sampleOf(s.d.PID())
		sample.At = float64(done + step)
		s.side.Long = append(s.side.Long, sample)
	}
	s.stop(ctx)
}
