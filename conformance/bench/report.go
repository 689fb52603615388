// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/thicket-cni/thicket/conformance/bench/scale"
)

// Report is what RunBench measured. Times are in milliseconds, memory in
// MiB.
type Report struct {
	Started time.Time `json:"started"`
	Machine string    `json:"machine"`
	// Sides are the implementations, the target first.
	Sides []Side `json:"sides"`
	// Noop is a process that does nothing, of the toolchain that shims are built
	// with.
	Noop Latency `json:"noop"`
	// Alone are the delegate's own times, by command.
	Alone map[string]Latency `json:"alone"`
	// StatusWrite is the API server's own time for the write that is a part of
	// every ADD of a pod, asked for by the benchmark between the ADDs; nil where
	// no API server stands beside the sides.
	StatusWrite *Latency `json:"statusWrite,omitempty"`
	Goals       []Goal   `json:"goals"`
	// Scale is what the daemons of many nodes cost an API server; nil when that was
	// not asked for.
	Scale *scale.Report `json:"scale,omitempty"`
	// Failure is why the measurement is incomplete, "" when it is not.
	Failure string `json:"failure,omitempty"`
}

// Side is what was measured of one implementation.
type Side struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Latency is by scenario: "ADD 1" is an ADD of one network.
	Latency map[string]Latency `json:"latency"`
	// Unwaited is ADD of one network whose status is not waited for; nil where that
	// was not measured.
	Unwaited *Unwaited `json:"unwaited,omitempty"`
	// Bursts are 150 ADDs of two networks at several concurrencies.
	Bursts []Burst `json:"bursts"`
	// Real is ADD of one network of real plugins; nil where that was not measured.
	Real  *Real    `json:"real,omitempty"`
	Shim  ShimSize `json:"shim"`
	Idle  Idle     `json:"idle"`
	Storm *Storm   `json:"storm,omitempty"`
	// LargeStorm is one of more sandboxes.
	LargeStorm *Storm `json:"largeStorm,omitempty"`
	// Hanging are ADDs beside pods that hang, none of them first.
	Hanging []Hanging `json:"hanging,omitempty"`
	// Definitions is a daemon among few definitions, and among many.
	Definitions []Among `json:"definitions,omitempty"`
	// Long is the daemon during the long run of pairs.
	Long []Sample `json:"long,omitempty"`
	// Phases are the target's own account of one ADD of two networks, p50 by
	// phase; empty for an implementation that gives none.
	Phases map[string]float64 `json:"phases,omitempty"`
}

// Latency is a distribution of times, in milliseconds.
type Latency struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	// Curve are 101 quantiles, from the least to the most.
	Curve []float64 `json:"curve"`
}

// Unwaited is ADD of one network without a wait for the write of its status, and
// what it cannot be shorter than, measured in turns with it.
type Unwaited struct {
	ADD      Latency `json:"add"`
	Noop     Latency `json:"noop"`
	Delegate Latency `json:"delegate"`
}

// Real is ADD of one network of bridge and host-local.
type Real struct {
	ADD Latency `json:"add"`
	// Plugins is bridge, with host-local, executed without a thick plugin.
	Plugins Latency `json:"plugins"`
	// StatusWrite is as in Report, in turns with these.
	StatusWrite *Latency `json:"statusWrite,omitempty"`
}

// Burst is many ADDs at once.
type Burst struct {
	Concurrency int `json:"concurrency"`
	// Seconds is the median of the repetitions.
	Seconds float64 `json:"seconds"`
	// Floor is what the same processes and writes of statuses take that no daemon
	// can leave out: a no-op process, the delegates alone, and the API server.
	Floor float64 `json:"floor,omitempty"`
}

// ShimSize is what the shim costs.
type ShimSize struct {
	DiskMiB     float64 `json:"diskMiB"`
	ResidentMiB float64 `json:"residentMiB"`
	// FirstByte is the time from its start to the first byte of its request.
	FirstByte Latency `json:"firstByte"`
}

// Idle is a daemon that knows 110 pods and 1,000 definitions and has nothing
// to do.
type Idle struct {
	ResidentMiB float64 `json:"residentMiB"`
	// CPU is the share of one core, in percent.
	CPU float64 `json:"cpu"`
	// Parts are the same daemon with less to know, the least first.
	Parts []Footprint `json:"parts,omitempty"`
}

// Footprint is a daemon's memory by kind.
type Footprint struct {
	Pods        int     `json:"pods"`
	Definitions int     `json:"definitions"`
	ResidentMiB float64 `json:"residentMiB"`
	// AnonymousMiB is what the daemon made itself, FileMiB what it uses of its
	// executable, which the kernel can drop.
	AnonymousMiB float64 `json:"anonymousMiB"`
	FileMiB      float64 `json:"fileMiB"`
}

// Storm is many ADDs at once with real plugins in a memory cgroup of 50 MiB.
type Storm struct {
	Sandboxes int `json:"sandboxes"`
	// LimitMiB is the memory that the daemon and its delegates may have, and
	// KernelMiB what the kernel had of it when all were answered, most of it for the
	// interfaces: they are accounted to the cgroup that they were made from as long
	// as they exist.
	LimitMiB  float64 `json:"limitMiB,omitempty"`
	KernelMiB float64 `json:"kernelMiB,omitempty"`
	Seconds   float64 `json:"seconds"`
	// Alone is how many seconds the ADDs of the same plugins take without a thick
	// plugin and without a limit, 0 where that was not measured.
	Alone  float64 `json:"alone,omitempty"`
	Failed int     `json:"failed"`
	Killed int     `json:"killed"`
	// Left is how many files and interfaces are left after the DELs, which a
	// daemon without the limit has served.
	Left int `json:"left"`
	// Memory is the cgroup's usage over time.
	Memory []Sample `json:"memory"`
}

func (s *Storm) what() string {
	return fmt.Sprintf("storm: %d ADDs at once in %.0f MiB", s.Sandboxes, s.LimitMiB)
}

// String says what became of the sandboxes.
func (s *Storm) String() string {
	return fmt.Sprintf("%d failed, %d killed, %d left, %.1f s", s.Failed, s.Killed, s.Left, s.Seconds)
}

// Hanging is ADD of one pod after the other, beside so many whose delegates
// hang.
type Hanging struct {
	Pods int     `json:"pods"`
	ADD  Latency `json:"add"`
}

func (h *Hanging) what() string { return fmt.Sprintf("ADD beside %d hanging pods", h.Pods) }

// Among is a daemon among so many network definitions.
type Among struct {
	Definitions int `json:"definitions"`
	// Large is how many of them have 1 MiB.
	Large int `json:"large"`
	// LimitMiB is the limit of its memory cgroup, 0 for none.
	LimitMiB float64 `json:"limitMiB"`
	// ResidentMiB is what it had when it was idle, PeakMiB the most that it had.
	ResidentMiB float64 `json:"residentMiB"`
	PeakMiB     float64 `json:"peakMiB"`
	// Ended means that the daemon ended by itself, and nothing else is known.
	Ended bool `json:"ended,omitempty"`
	// ADD is one of a small definition.
	ADD Latency `json:"add"`
	// StatusWrite is the API server's own write of a status among so many, which is
	// a part of each ADD; nil where it was not measured.
	StatusWrite *Latency `json:"statusWrite,omitempty"`
}

// own is the median of an ADD without the API server's write, in milliseconds.
func (a *Among) own() float64 {
	if a.StatusWrite == nil || a.StatusWrite.P50 >= a.ADD.P50 { // or it is not waited for
		return a.ADD.P50
	}
	return a.ADD.P50 - a.StatusWrite.P50
}

func (a *Among) what() string {
	return fmt.Sprintf("%d definitions, %d of them of 1 MiB", a.Definitions, a.Large)
}

// Sample is a daemon at one moment.
type Sample struct {
	// At is in seconds, or in pairs for the long run.
	At          float64 `json:"at"`
	MiB         float64 `json:"mib"`
	Descriptors int     `json:"descriptors,omitempty"`
	Threads     int     `json:"threads,omitempty"`
}

// Goal is one line of the table that the benchmark is about.
type Goal struct {
	What string `json:"what"`
	// Goal says what it should be, such as "≤ 5 × alone".
	Goal string `json:"goal"`
	// Ratio says how many times the floor it is, where there is a floor.
	Ratio string `json:"ratio,omitempty"`
	// Floor says what it cannot be less than.
	Floor string `json:"floor,omitempty"`
	// Measured says what it is.
	Measured string `json:"measured"`
	Met      bool   `json:"met"`
}

// latencyOf sorts the times and takes the quantiles.
func latencyOf(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	sorted := slices.Sorted(slices.Values(times))
	at := func(q float64) float64 {
		return float64(sorted[int(math.Round(q*float64(len(sorted)-1)))]) / float64(time.Millisecond)
	}
	l := Latency{N: len(sorted), P50: at(.5), P90: at(.9), P99: at(.99)}
	for i := range 101 {
		l.Curve = append(l.Curve, at(float64(i)/100))
	}
	return l
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}
