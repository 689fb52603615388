// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"slices"
	"strings"
	"testing"
)

const stormGoal = "all succeed, no OOM kill, time grows no faster than the number, or than the plugins' alone"

func p50(ms float64) Latency { return Latency{N: 1, P50: ms} }

// measured is a report of a target that meets every goal exactly, in numbers that
// floating point has exactly.
func measured() *Report {
	return &Report{
		Noop: p50(2), Alone: map[string]Latency{"ADD": p50(3), "DEL": p50(2)}, StatusWrite: &Latency{P50: 5},
		Sides: []Side{
			{Name: "mine", Latency: map[string]Latency{"ADD 1": p50(12), "ADD 3": p50(19), "DEL 1": p50(5.4)},
				Unwaited: &Unwaited{ADD: p50(7.5), Noop: p50(2), Delegate: p50(3)},
				Bursts:   []Burst{{Concurrency: 1, Seconds: 9}, {Concurrency: 50, Seconds: 1, Floor: .5}},
				Real:     &Real{ADD: p50(40), Plugins: p50(29), StatusWrite: &Latency{P50: 5}},
				Storm:    &Storm{Sandboxes: 150, LimitMiB: 50, KernelMiB: 21, Seconds: 3}, LargeStorm: &Storm{Sandboxes: 500, LimitMiB: 99, Seconds: 10}},
			{Name: "theirs", Latency: map[string]Latency{"ADD 1": p50(24), "ADD 3": p50(38), "DEL 1": p50(16.2)},
				Bursts: []Burst{{Concurrency: 50, Seconds: 6}}, Real: &Real{ADD: p50(68), Plugins: p50(29)}},
		},
	}
}

// goalOf finds a line of the table.
func goalOf(t *testing.T, r *Report, what string) Goal {
	t.Helper()
	all := goals(r)
	at := slices.IndexFunc(all, func(g Goal) bool { return strings.HasPrefix(g.What, what) })
	if at < 0 {
		t.Fatalf("the table has no %q: %v", what, all)
	}
	return all[at]
}

func TestGoals(t *testing.T) {
	for _, tt := range []struct {
		what                         string
		goal, ratio, floor, measured string
		miss                         func(r *Report)
	}{
		{"ADD, one network, status waited for", "≤ 1.2 × floor", "1.20 ×", "10.0 ms: no-op process 2.0 + delegate 3.0 + API server 5.0", "12.0 ms, 1/2.0 of theirs",
			func(r *Report) { r.Sides[0].Latency["ADD 1"] = p50(12.1) }},
		{"ADD, one network, status not waited for", "≤ 1.5 × floor", "1.50 ×", "5.0 ms: no-op process 2.0 + delegate 3.0", "7.5 ms",
			func(r *Report) { r.Sides[0].Unwaited.ADD = p50(7.6) }},
		{"ADD, each further network", "≤ 1.2 × floor", "1.17 ×", "delegate 3.0 ms", "3.5 ms, 1/2.0 of theirs",
			func(r *Report) { r.Sides[0].Latency["ADD 3"] = p50(19.3) }},
		{"DEL, one network", "≤ 1.35 × floor", "1.35 ×", "4.0 ms: no-op process 2.0 + delegate 2.0", "5.4 ms, 1/3.0 of theirs",
			func(r *Report) { r.Sides[0].Latency["DEL 1"] = p50(5.5) }},
		{"150 ADDs of two networks", "≤ 1/6 of theirs", "2.00 ×", "0.50 s", "1.00 s, 1/6.0 of theirs (6.00 s)",
			func(r *Report) { r.Sides[0].Bursts[1].Seconds = 1.01 }},
		{"ADD of bridge and host-local", "≤ 15 % of the ADD", "1.18 ×", "34.0 ms: delegate 29.0 + API server 5.0", "15.0 % of 40.0 ms; theirs 50.0 % of 68.0 ms",
			func(r *Report) { r.Sides[0].Real.ADD = p50(40.1) }},
		{"storm: 500 ADDs", stormGoal, "1.00 ×", "10.0 s by the number", "0 failed, 0 killed, 0 left, 10.0 s",
			func(r *Report) { r.Sides[0].LargeStorm.Seconds = 10.1 }},
		{"storm: 500 ADDs", stormGoal, "1.00 ×", "10.0 s by the number", "0 failed, 0 killed, 0 left, 10.0 s",
			func(r *Report) { r.Sides[0].LargeStorm.Failed = 1 }},
	} {
		r := measured()
		want := Goal{What: "", Goal: tt.goal, Ratio: tt.ratio, Floor: tt.floor, Measured: tt.measured, Met: true}
		got := goalOf(t, r, tt.what)
		if got.What = ""; got != want {
			t.Errorf("%s:\n%+v, want\n%+v", tt.what, got, want)
		}
		tt.miss(r)
		if goalOf(t, r, tt.what).Met {
			t.Errorf("%s: a miss is not marked", tt.what)
		}
	}
}

// TestAStormMayGrowAsItsPluginsDo: they are what no thick plugin can do without.
func TestAStormMayGrowAsItsPluginsDo(t *testing.T) {
	r := measured()
	small, large := r.Sides[0].Storm, r.Sides[0].LargeStorm
	small.Alone, large.Alone, large.Seconds = 2, 8, 12
	g := goalOf(t, r, "storm: 500 ADDs")
	if g.Ratio != "1.00 ×" || !g.Met || g.Floor != "10.0 s by the number, 12.0 s as the plugins alone (2.0 → 8.0 s)" {
		t.Errorf("as fast: %+v", g)
	}
	if large.Seconds = 12.1; goalOf(t, r, "storm: 500 ADDs").Met {
		t.Error("faster than both, and not marked")
	}
	large.Alone, large.Seconds = 4, 10 // as where the machine was busy for the smaller one
	if g := goalOf(t, r, "storm: 500 ADDs"); g.Ratio != "1.00 ×" || !g.Met {
		t.Errorf("plugins that grow more slowly than their number: %+v", g)
	}
}

// What was not measured is neither met nor missed.
func TestGoalsOfWhatWasNotMeasured(t *testing.T) {
	if all := goals(&Report{Sides: []Side{{Name: "mine"}}}); len(all) != 0 {
		t.Errorf("nothing was measured, and the table has %v", all)
	}
	r := measured()
	r.Sides, r.StatusWrite = r.Sides[:1], nil
	r.Sides[0].Real.StatusWrite, r.Sides[0].LargeStorm = nil, nil
	if g := goalOf(t, r, "ADD, one network, no API server"); g.Goal != "≤ 1.5 × floor" || g.Ratio != "2.40 ×" || g.Met {
		t.Errorf("without an API server: %+v", g)
	}
	if g := goalOf(t, r, "150 ADDs"); g.Goal != "≤ 1/6 of a peer's" || !g.Met || g.Measured != "1.00 s (no peer in this run)" {
		t.Errorf("without a peer: %+v", g)
	}
	for _, g := range goals(r) {
		if strings.HasPrefix(g.What, "storm: 500") {
			t.Errorf("there was no storm of 500: %+v", g)
		}
	}
}

// TestLimitOfALargerStorm: the kernel's part grows with the number, and only that.
func TestLimitOfALargerStorm(t *testing.T) {
	s := &Storm{Sandboxes: 150, LimitMiB: 50, KernelMiB: 21}
	if got, want := s.limitFor(500), int64(99<<20); got != want {
		t.Errorf("500 sandboxes get %d bytes, want %d", got, want)
	}
	if got := (&Storm{Sandboxes: 150, LimitMiB: 50}).limitFor(500); got != 50<<20 {
		t.Errorf("where the kernel does not say, 500 sandboxes get %d bytes", got)
	}
}
