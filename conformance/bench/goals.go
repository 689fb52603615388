// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"

	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// goals compares what was measured with what a thick plugin should reach. The
// peer's ratios are there only when a peer was measured.
func goals(r *Report) []Goal {
	t := &r.Sides[0]
	var peer *Side
	if len(r.Sides) > 1 {
		peer = &r.Sides[1]
	}
	all := []Goal{}
	add := func(what, goal string, met bool, format string, args ...any) {
		all = append(all, Goal{What: what, Goal: goal, Measured: fmt.Sprintf(format, args...), Met: met})
	}
	against := func(what string, share, mine, theirs float64) {
		if peer != nil && theirs > 0 {
			add(what, fmt.Sprintf("≤ 1/%.0f of %s", 1/share, peer.Name), mine <= share*theirs, "1/%.1f (%.1f : %.1f)", theirs/mine, mine, theirs)
		}
	}
	if len(t.Latency) > 0 {
		latencyGoals(r, add)
	}
	if peer != nil && len(t.Latency) > 0 {
		against("ADD, one network", 1./4, t.Latency["ADD 1"].P50, peer.Latency["ADD 1"].P50)
		against("DEL, one network", 1./4, t.Latency["DEL 1"].P50, peer.Latency["DEL 1"].P50)
		against("150 ADDs of two networks, 50 at a time", 1./5, burstOf(t), burstOf(peer))
	} else if len(t.Bursts) > 0 {
		add("150 ADDs of two networks, 50 at a time", "≤ 1/5 of a peer's", true, "%.2f s (no peer in this run)", burstOf(t))
	}
	if t.Shim.DiskMiB > 0 {
		add("shim on disk", "≤ 8 MiB", t.Shim.DiskMiB <= 8, "%.1f MiB", t.Shim.DiskMiB)
		add("shim resident", "≤ 12 MiB", t.Shim.ResidentMiB <= 12, "%.1f MiB", t.Shim.ResidentMiB)
		add("shim, start to first byte", "≤ 2 ms", t.Shim.FirstByte.P50 <= 2, "%.1f ms", t.Shim.FirstByte.P50)
	}
	if t.Idle.ResidentMiB > 0 {
		add("daemon, 110 pods and 1,000 definitions, idle", "≤ 30 MiB", t.Idle.ResidentMiB <= 30, "%.1f MiB", t.Idle.ResidentMiB)
		add("the same, processor", "none", t.Idle.CPU <= 0.5, "%.1f %% of a core", t.Idle.CPU)
	}
	hangingGoals(t, add)
	definitionGoals(t, add)
	return append(all, memoryGoals(t)...)
}

// latencyGoals compares single requests with the delegate alone.
func latencyGoals(r *Report, add func(what, goal string, met bool, format string, args ...any)) {
	t, alone, delAlone := &r.Sides[0], r.Alone["ADD"].P50, r.Alone["DEL"].P50
	add1, del1 := t.Latency["ADD 1"].P50, t.Latency["DEL 1"].P50
	measured := fmt.Sprintf("%.1f × (%.1f : %.1f ms)", add1/alone, add1, alone)
	if r.StatusWrite != nil {
		measured += fmt.Sprintf(", %.1f × of them the API server's write", r.StatusWrite.P50/alone)
	}
	add("ADD, one network", "≤ 5 × alone", add1 <= 5*alone, "%s", measured)
	more := (t.Latency["ADD 3"].P50 - add1) / 2
	add("ADD, each further network", "≤ 1.3 × alone more", more <= 1.3*alone, "%.2f × (%.1f ms)", more/alone, more)
	add("DEL, one network", "≤ 3 × alone", del1 <= 3*delAlone, "%.1f × (%.1f : %.1f ms)", del1/delAlone, del1, delAlone)
}

func burstOf(s *Side) float64 {
	for _, b := range s.Bursts {
		if b.Concurrency == 50 {
			return b.Seconds
		}
	}
	return 0
}

// memoryGoals are those of the storm and of the long run.
func memoryGoals(t *Side) []Goal {
	var all []Goal
	if t.Storm != nil {
		s := t.Storm
		all = append(all, Goal{What: "storm: 150 ADDs at once in 50 MiB", Goal: "all succeed, no OOM kill, within 2 minutes", Measured: s.String(),
			Met: s.Failed == 0 && s.Killed == 0 && s.Left == 0 && s.Seconds <= expect.RuntimeDeadline.Seconds()})
	}
	if n := len(t.Long); n > 4 {
		// The first quarter fills pools and caches.
		from, to := t.Long[n/4], t.Long[n-1]
		all = append(all, Goal{What: fmt.Sprintf("%.0f ADD/DEL pairs", to.At), Goal: "memory, descriptors and threads flat",
			Measured: fmt.Sprintf("%.1f → %.1f MiB, %d → %d descriptors, %d → %d threads",
				from.MiB, to.MiB, from.Descriptors, to.Descriptors, from.Threads, to.Threads),
			Met: to.MiB <= from.MiB*1.1+1 && to.Descriptors <= from.Descriptors+4 && to.Threads <= from.Threads+4})
	}
	return all
}
