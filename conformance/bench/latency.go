// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

const (
	burstSize = 150
	// burstRepeats is how often each burst is made; the median counts.
	burstRepeats = 3
)

// burstConcurrencies are how many runtimes ask at once.
var burstConcurrencies = []int{1, 5, 10, 25, 50}

// shims measures the shims alone, in turns, against a peer that only reads.
func (b *bench) shims(ctx context.Context) {
	ginkgo.GinkgoHelper()
	times := map[*benchEnv][]time.Duration{}
	resident := map[*benchEnv][]float64{}
	boxes := map[*benchEnv]*node.Sandbox{}
	for _, s := range b.sides {
		b.progress("%s: the shim", s.side.Name)
		info, err := os.Stat(s.Target.ShimPath())
		Expect(err).NotTo(HaveOccurred())
		s.side.Shim.DiskMiB = mib(info.Size())
		boxes[s] = s.Sandbox()
	}
	for range max(b.settings.Rounds/4, 20) {
		for _, s := range b.sides {
			took, peak := firstByte(ctx, s, boxes[s])
			times[s] = append(times[s], took)
			resident[s] = append(resident[s], mib(peak))
		}
	}
	for _, s := range b.sides {
		s.side.Shim.FirstByte = latencyOf(times[s])
		s.side.Shim.ResidentMiB = median(resident[s])
	}
}

// firstByte starts the shim and returns when the first byte of its request
// arrives, and the most memory that it had, in bytes.
func firstByte(ctx context.Context, s *benchEnv, box *node.Sandbox) (time.Duration, int64) {
	ginkgo.GinkgoHelper()
	p := s.Paths()
	p.RunDir = filepath.Join(s.Dir, "first")
	Expect(os.MkdirAll(p.RunDir, 0o700)).To(Succeed())
	socket := filepath.Join(p.RunDir, "multus.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = listener.Close() }()
	config, err := s.Target.ShimConfig(p)
	Expect(err).NotTo(HaveOccurred())
	cmd := exec.CommandContext(ctx, s.Target.ShimPath())
	for k, v := range box.Env("DEL") {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdin = bytes.NewReader(config)
	start := time.Now()
	Expect(cmd.Start()).To(Succeed())
	conn, err := listener.Accept()
	Expect(err).NotTo(HaveOccurred())
	request := make([]byte, 64<<10)
	_, err = conn.Read(request)
	took := time.Since(start)
	Expect(err).NotTo(HaveOccurred())
	// It waits for the answer now. What the kernel reports after its end would
	// count this process too, as it was when the shim was forked.
	peak := statusOf(cmd.Process.Pid)["VmHWM"]
	_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"))
	Expect(conn.Close()).To(Succeed())
	// A shim that asks more than once is answered no more; only the first counts.
	_ = listener.Close()
	_ = cmd.Wait()
	return took, peak << 10
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// singles measures ADD and DEL of one, two and three networks one at a time,
// the sides and the delegate alone in turns. Each begins when the machine is at
// rest: what a DEL leaves to the API server, such as the status that is taken away,
// is not the next request's, and least of all the peer's.
func (b *bench) singles(ctx context.Context) {
	ginkgo.GinkgoHelper()
	times := map[string][]time.Duration{}
	boxes := map[*benchEnv][]*node.Sandbox{}
	for _, s := range b.sides {
		s.start(ctx)
		for _, networks := range []string{"", "second", "second,third"} {
			boxes[s] = append(boxes[s], s.Sandbox(node.Networks(networks)))
		}
	}
	var writes []time.Duration
	write := b.statusWrite(ctx)
	var noops []time.Duration
	for round := range b.settings.Rounds + 5 {
		if round%50 == 0 {
			b.progress("single requests: round %d of %d", round, b.settings.Rounds)
		}
		record := func(key string, took time.Duration) {
			if round >= 5 { // the first ones warm caches
				times[key] = append(times[key], took)
			}
		}
		b.atRest(ctx)
		noops = append(noops, b.noop(ctx))
		for _, command := range []string{"ADD", "DEL"} {
			b.atRest(ctx)
			record("alone "+command, b.alone(ctx, command, boxes[b.sides[0]][0]))
		}
		if write != nil {
			b.atRest(ctx)
			writes = append(writes, write(round))
		}
		for n := range 3 {
			for _, s := range b.sides {
				for _, command := range []string{"ADD", "DEL"} {
					b.atRest(ctx)
					record(fmt.Sprintf("%s %s %d", s.side.Name, command, n+1), s.timeShim(ctx, command, boxes[s][n]))
				}
			}
		}
	}
	b.report.Noop = latencyOf(noops)
	if write != nil {
		l := latencyOf(writes)
		b.report.StatusWrite = &l
	}
	for key, all := range times {
		who, what, _ := strings.Cut(key, " ")
		if who == "alone" {
			b.report.Alone[what] = latencyOf(all)
			continue
		}
		for _, s := range b.sides {
			if s.side.Name == who {
				s.side.Latency[what] = latencyOf(all)
			}
		}
	}
	for _, s := range b.sides {
		s.stop(ctx)
	}
}

// noop executes a process that does nothing, not even the delegate's part.
func (b *bench) noop(ctx context.Context) time.Duration {
	ginkgo.GinkgoHelper()
	took, _ := timeProcess(ctx, filepath.Join(b.sides[0].BinDir, "nop"), map[string]string{"CNI_COMMAND": "NOTHING"}, nil)
	return took
}

// alone executes the delegate that does nothing, without a thick plugin.
func (b *bench) alone(ctx context.Context, command string, box *node.Sandbox) time.Duration {
	ginkgo.GinkgoHelper()
	took, _ := timeProcess(ctx, filepath.Join(b.sides[0].BinDir, "nop"), box.Env(command), []byte(`{"cniVersion":"1.0.0","name":"default","type":"nop"}`))
	return took
}

// unwaited measures ADD of one network without a wait for the write of its
// status, with what it cannot be shorter than in turns.
func (b *bench) unwaited(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s := b.sides[0]
	b.progress("%s: ADD without a wait for the status", s.side.Name)
	s.d = s.Start(ctx, thick.ConfigPatch(func(config map[string]any) {
		quiet(config)
		config["statusWait"] = "0s"
	}))
	// Each pod's status is written once, which is waited for before the next.
	var boxes []*node.Sandbox
	for range max(b.settings.Rounds/2, 20) {
		boxes = append(boxes, s.Sandbox())
	}
	var adds, noops, delegates []time.Duration
	for _, box := range boxes {
		b.atRest(ctx)
		noops = append(noops, b.noop(ctx))
		b.atRest(ctx)
		delegates = append(delegates, b.alone(ctx, "ADD", box))
		b.atRest(ctx)
		adds = append(adds, s.timeShim(ctx, "ADD", box))
		Eventually(func() []map[string]any { return s.Status(box) }).WithContext(ctx).WithPolling(time.Millisecond).ShouldNot(BeEmpty(), "the network status")
		s.timeShim(ctx, "DEL", box)
	}
	s.stop(ctx)
	for _, box := range boxes {
		s.DeletePod(box)
	}
	s.side.Unwaited = &Unwaited{ADD: latencyOf(adds), Noop: latencyOf(noops), Delegate: latencyOf(delegates)}
}

// bursts measures 150 ADDs of two networks at several concurrencies.
func (b *bench) bursts(ctx context.Context) {
	ginkgo.GinkgoHelper()
	took := map[*benchEnv]map[int][]float64{}
	floors := map[int][]float64{}
	boxes := map[*benchEnv][]*node.Sandbox{}
	for _, s := range b.sides {
		took[s] = map[int][]float64{}
		s.start(ctx)
		for range burstSize {
			boxes[s] = append(boxes[s], s.Sandbox(node.Networks("second")))
		}
	}
	for repeat := range burstRepeats {
		b.progress("bursts of %d: round %d of %d", burstSize, repeat+1, burstRepeats)
		for _, n := range burstConcurrencies {
			b.atRestWithin(ctx, burstRestLimit)
			floors[n] = append(floors[n], b.burstFloor(ctx, boxes[b.sides[0]], n).Seconds())
			for _, s := range b.sides {
				b.atRestWithin(ctx, burstRestLimit)
				took[s][n] = append(took[s][n], b.burst(ctx, s, boxes[s], n, "ADD").Seconds())
				b.burst(ctx, s, boxes[s], 8, "DEL")
			}
		}
	}
	for _, s := range b.sides {
		for _, n := range burstConcurrencies {
			s.side.Bursts = append(s.side.Bursts, Burst{Concurrency: n, Seconds: median(took[s][n]), Floor: median(floors[n])})
		}
		s.stop(ctx)
		for _, box := range boxes[s] {
			s.DeletePod(box)
		}
	}
}

// burst executes one shim per sandbox, so many at a time.
func (b *bench) burst(ctx context.Context, s *benchEnv, boxes []*node.Sandbox, concurrency int, command string) time.Duration {
	ginkgo.GinkgoHelper()
	return atATime(boxes, concurrency, func(box *node.Sandbox) { s.timeShim(ctx, command, box) })
}

// burstFloor executes what a burst of ADDs of two networks cannot do without: for
// each a no-op process, two delegates, and the write of a status.
func (b *bench) burstFloor(ctx context.Context, boxes []*node.Sandbox, concurrency int) time.Duration {
	ginkgo.GinkgoHelper()
	var written atomic.Int64
	write := b.statusWriter(ctx)
	return atATime(boxes, concurrency, func(box *node.Sandbox) {
		b.noop(ctx)
		b.alone(ctx, "ADD", box)
		b.alone(ctx, "ADD", box)
		if write != nil {
			write(box, int(written.Add(1)))
		}
	})
}

// atATime does something for each sandbox, so many at a time.
func atATime(boxes []*node.Sandbox, concurrency int, do func(*node.Sandbox)) time.Duration {
	ginkgo.GinkgoHelper()
	todo := make(chan *node.Sandbox, len(boxes))
	for _, box := range boxes {
		todo <- box
	}
	close(todo)
	start := time.Now()
	var runtimes sync.WaitGroup
	for range concurrency {
		runtimes.Go(func() {
			defer ginkgo.GinkgoRecover()
			for box := range todo {
				do(box)
			}
		})
	}
	runtimes.Wait()
	return time.Since(start)
}
