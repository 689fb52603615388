// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
)

// TestLeft estimates by what cases say of themselves, and by those that ended.
func TestLeft(t *testing.T) {
	now := time.Now()
	slow, waits, alone := tiny("TINY-03", pass), tiny("TINY-04", pass), tiny("TINY-05", pass)
	slow.Slow, waits.Slow, waits.Waits, alone.Slow, alone.Alone = 30*time.Second, 50*time.Second, true, 20*time.Second, true
	s := &session{Options: Options{Parallel: 2}, cases: []Case{tiny("TINY-01", pass), tiny("TINY-02", pass), slow, waits, alone}}
	s.progress, s.results = make([]progress, 5), make([]report.CaseResult, 5)
	if l := s.live(now); l.Left != 0 || l.Of != 5 || len(l.Running) != 0 {
		t.Errorf("at the beginning %+v", l)
	}
	s.progress[0], s.done = progress{done: true, took: 4 * time.Second}, 1
	s.results[0].State, s.results[0].Level = report.Failed, "MUST"
	s.progress[2].began, s.progress[3].began = now.Add(-10*time.Second), now.Add(-5*time.Second)
	l := s.live(now)
	if l.Failed != 1 || !slices.Equal(l.Running, []string{"TINY-03", "TINY-04"}) {
		t.Errorf("%+v", l)
	}
	// 4 s and 20 s side by side, 45 s of waiting beside them, and 20 s alone.
	if l.Left != 65*time.Second {
		t.Errorf("%s left, want 65 s", l.Left)
	}
}

// TestWatch follows a run.
func TestWatch(t *testing.T) {
	o := childOptions(t, tiny("TINY-01", pass), tiny("TINY-02", pass))
	var seen []string
	o.Parallel = 1
	o.Watch = func(l Live) {
		seen = append(seen, strings.Join(append([]string{string(rune('0' + l.Done))}, l.Running...), " "))
	}
	if _, err := Judge(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 4 || !strings.HasPrefix(seen[0], "0 TINY-0") || seen[1] != "1" || !strings.HasPrefix(seen[2], "1 TINY-0") || seen[3] != "2" {
		t.Errorf("%q", seen)
	}
}
