// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"strings"

	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// The goals of single requests, as multiples of their floors; the share of a
// peer's time that a burst may take; and the percentage of an ADD of real plugins
// that may be the thick plugin's.
const (
	addGoal      = 1.2
	unwaitedGoal = 1.5
	delGoal      = 1.35
	furtherGoal  = 1.2
	burstGoal    = 1. / 6
	realGoal     = 15.
)

// table is the goals beside what was measured.
type table struct {
	report *Report
	target *Side
	// peer is nil when none was measured.
	peer  *Side
	goals []Goal
}

// goals compares what was measured with what a thick plugin should reach. What was
// not measured has no line.
func goals(r *Report) []Goal {
	t := &table{report: r, target: &r.Sides[0], goals: []Goal{}}
	if len(r.Sides) > 1 {
		t.peer = &r.Sides[1]
	}
	t.singles()
	t.unwaited()
	t.bursts()
	t.real()
	t.shim()
	t.idle()
	hangingGoals(t.target, t.add)
	definitionGoals(t.target, t.add)
	t.storms()
	t.long()
	return t.goals
}

func (t *table) add(what, goal string, met bool, format string, args ...any) {
	t.goals = append(t.goals, Goal{What: what, Goal: goal, Measured: fmt.Sprintf(format, args...), Met: met})
}

// floor is what a request cannot be shorter than, part by part, in milliseconds.
type floor struct {
	noop, delegate float64
	// write is the API server's, 0 where it is not waited for.
	write float64
}

func (f floor) sum() float64 { return f.noop + f.delegate + f.write }

// String names the parts that there are.
func (f floor) String() string {
	var parts []string
	for _, p := range []struct {
		what string
		took float64
	}{{"no-op process", f.noop}, {"delegate", f.delegate}, {"API server", f.write}} {
		if p.took > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f", p.what, p.took))
		}
	}
	if len(parts) == 1 {
		return parts[0] + " ms"
	}
	return fmt.Sprintf("%.1f ms: %s", f.sum(), strings.Join(parts, " + "))
}

// above adds the line of what should take at most so many times its floor; theirs is
// the peer's, 0 where none was measured.
func (t *table) above(what string, most float64, f floor, took, theirs float64) {
	measured := fmt.Sprintf("%.1f ms", took)
	if t.peer != nil && theirs > 0 {
		measured += fmt.Sprintf(", 1/%.1f of %s", theirs/took, t.peer.Name)
	}
	t.goals = append(t.goals, Goal{What: what, Goal: fmt.Sprintf("≤ %g × floor", most), Ratio: fmt.Sprintf("%.2f ×", took/f.sum()),
		Measured: measured, Floor: f.String(), Met: took <= most*f.sum()})
}

// theirs is the peer's median of a request, 0 where there is none.
func (t *table) theirs(request string) float64 {
	if t.peer == nil {
		return 0
	}
	return t.peer.Latency[request].P50
}

// singles are single requests. Where there is no API server no write is waited for.
func (t *table) singles() {
	add1 := t.target.Latency["ADD 1"].P50
	if add1 == 0 {
		return
	}
	f := floor{noop: t.report.Noop.P50, delegate: t.report.Alone["ADD"].P50}
	if w := t.report.StatusWrite; w != nil {
		f.write = w.P50
		t.above("ADD, one network, status waited for", addGoal, f, add1, t.theirs("ADD 1"))
	} else {
		t.above("ADD, one network, no API server", unwaitedGoal, f, add1, t.theirs("ADD 1"))
	}
	further := func(s *Side) float64 { return (s.Latency["ADD 3"].P50 - s.Latency["ADD 1"].P50) / 2 }
	var theirs float64
	if t.peer != nil {
		theirs = further(t.peer)
	}
	t.above("ADD, each further network", furtherGoal, floor{delegate: t.report.Alone["ADD"].P50}, further(t.target), theirs)
	t.above("DEL, one network", delGoal, floor{noop: t.report.Noop.P50, delegate: t.report.Alone["DEL"].P50}, t.target.Latency["DEL 1"].P50, t.theirs("DEL 1"))
}

func (t *table) unwaited() {
	if u := t.target.Unwaited; u != nil {
		t.above("ADD, one network, status not waited for", unwaitedGoal, floor{noop: u.Noop.P50, delegate: u.Delegate.P50}, u.ADD.P50, 0)
	}
}

// bursts compares the largest burst with the peer's. Without a peer it can neither
// meet the goal nor miss it, and has no mark.
func (t *table) bursts() {
	mine, known := burstOf(t.target)
	if !known {
		return
	}
	g := Goal{What: "150 ADDs of two networks, 50 at a time", Goal: fmt.Sprintf("≤ 1/%.0f of a peer's", 1/burstGoal), Met: true,
		Measured: fmt.Sprintf("%.2f s (no peer in this run)", mine.Seconds)}
	if mine.Floor > 0 {
		g.Ratio, g.Floor = fmt.Sprintf("%.2f ×", mine.Seconds/mine.Floor), fmt.Sprintf("%.2f s", mine.Floor)
	}
	if t.peer != nil {
		if theirs, known := burstOf(t.peer); known {
			g.Goal = fmt.Sprintf("≤ 1/%.0f of %s", 1/burstGoal, t.peer.Name)
			g.Measured = fmt.Sprintf("%.2f s, 1/%.1f of %s (%.2f s)", mine.Seconds, theirs.Seconds/mine.Seconds, t.peer.Name, theirs.Seconds)
			g.Met = mine.Seconds <= burstGoal*theirs.Seconds
		}
	}
	t.goals = append(t.goals, g)
}

func burstOf(s *Side) (Burst, bool) {
	for _, b := range s.Bursts {
		if b.Concurrency == 50 {
			return b, true
		}
	}
	return Burst{}, false
}

// real is what the thick plugin adds to real plugins and the API server's write.
func (t *table) real() {
	r := t.target.Real
	if r == nil {
		return
	}
	f := floor{delegate: r.Plugins.P50}
	if r.StatusWrite != nil {
		f.write = r.StatusWrite.P50
	}
	share := func(r *Real, f floor) float64 { return 100 * (r.ADD.P50 - f.sum()) / r.ADD.P50 }
	measured := fmt.Sprintf("%.1f %% of %.1f ms", share(r, f), r.ADD.P50)
	if t.peer != nil && t.peer.Real != nil {
		measured += fmt.Sprintf("; %s %.1f %% of %.1f ms", t.peer.Name, share(t.peer.Real, f), t.peer.Real.ADD.P50)
	}
	t.goals = append(t.goals, Goal{What: "ADD of bridge and host-local, what is added to them", Goal: fmt.Sprintf("≤ %g %% of the ADD", realGoal),
		Ratio: fmt.Sprintf("%.2f ×", r.ADD.P50/f.sum()), Measured: measured, Floor: f.String(), Met: share(r, f) <= realGoal})
}

func (t *table) shim() {
	s := t.target.Shim
	if s.DiskMiB == 0 {
		return
	}
	t.add("shim on disk", "≤ 8 MiB", s.DiskMiB <= 8, "%.1f MiB", s.DiskMiB)
	t.add("shim resident", "≤ 12 MiB", s.ResidentMiB <= 12, "%.1f MiB", s.ResidentMiB)
	t.add("shim, start to first byte", "≤ 2 ms", s.FirstByte.P50 <= 2, "%.1f ms", s.FirstByte.P50)
}

func (t *table) idle() {
	if i := t.target.Idle; i.ResidentMiB > 0 {
		t.add("daemon, 110 pods and 1,000 definitions, idle", "≤ 30 MiB", i.ResidentMiB <= 30, "%.1f MiB", i.ResidentMiB)
		t.add("the same, processor", "none", i.CPU <= 0.5, "%.1f %% of a core", i.CPU)
	}
}

// survived reports whether a storm has attached all, and nothing was killed or left.
func (s *Storm) survived() bool { return s.Failed == 0 && s.Killed == 0 && s.Left == 0 }

// storms compares the storm with a kubelet's patience, and the larger one's time with
// what its number makes of the other's, or the plugins by themselves where they grow
// faster than that.
func (t *table) storms() {
	small, large := t.target.Storm, t.target.LargeStorm
	if small == nil {
		return
	}
	t.add(small.what(), "all succeed, no OOM kill, within 2 minutes", small.survived() && small.Seconds <= expect.RuntimeDeadline.Seconds(), "%s", small)
	if large == nil || small.Sandboxes == 0 || large.Sandboxes == 0 {
		return
	}
	number := float64(large.Sandboxes) / float64(small.Sandboxes)
	g := Goal{What: large.what(), Goal: "all succeed, no OOM kill, time grows no faster than the number, or than the plugins' alone",
		Measured: large.String(), Floor: fmt.Sprintf("%.1f s by the number", small.Seconds*number)}
	least := number
	if small.Alone > 0 && large.Alone > 0 {
		least = max(number, large.Alone/small.Alone)
		g.Floor += fmt.Sprintf(", %.1f s as the plugins alone (%.1f → %.1f s)", small.Seconds*large.Alone/small.Alone, small.Alone, large.Alone)
	}
	g.Ratio = fmt.Sprintf("%.2f ×", large.Seconds/(small.Seconds*least))
	g.Met = large.survived() && large.Seconds <= small.Seconds*least
	t.goals = append(t.goals, g)
}

// long is whether the daemon grows in the long run.
func (t *table) long() {
	n := len(t.target.Long)
	if n <= 4 {
		return
	}
	// The first quarter fills pools and caches.
	from, to := t.target.Long[n/4], t.target.Long[n-1]
	t.add(fmt.Sprintf("%.0f ADD/DEL pairs", to.At), "memory, descriptors and threads flat",
		to.MiB <= from.MiB*1.1+1 && to.Descriptors <= from.Descriptors+4 && to.Threads <= from.Threads+4,
		"%.1f → %.1f MiB, %d → %d descriptors, %d → %d threads", from.MiB, to.MiB, from.Descriptors, to.Descriptors, from.Threads, to.Threads)
}
