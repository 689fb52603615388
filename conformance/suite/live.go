// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"slices"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
)

// Live is how far a run is.
type Live struct {
	// Done, Of and Failed count cases. What is waived, or failed in the baseline, is
	// not among the Failed.
	Done, Of, Failed int
	// Running are the ids of those in progress, the one that began first at the
	// beginning.
	Running []string
	// Left is about how long the run still takes, 0 before anything is known.
	Left time.Duration
}

// progress is what is known of one case while the run goes on.
type progress struct {
	began time.Time
	took  time.Duration
	done  bool
}

// start notes that a case began.
func (s *session) start(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress[i].began = time.Now()
	s.look()
}

// look tells whoever watches how far the run is. The session is locked.
func (s *session) look() {
	if s.Watch != nil {
		s.Watch(s.live(time.Now()))
	}
}

// live is how far the run is at a time.
func (s *session) live(now time.Time) Live {
	l := Live{Done: s.done, Of: len(s.cases)}
	var running []int
	for i := range s.cases {
		switch p := &s.progress[i]; {
		case p.done && s.results[i].Gates():
			l.Failed++
		case !p.done && !p.began.IsZero():
			running = append(running, i)
		}
	}
	slices.SortStableFunc(running, func(a, b int) int { return s.progress[a].began.Compare(s.progress[b].began) })
	for _, i := range running {
		l.Running = append(l.Running, s.cases[i].ID)
	}
	if s.done > 0 {
		l.Left = s.left(now)
	}
	return l
}

// left estimates how long the cases that are not done take: each as long as it
// says of itself, or as the others did on the average.
func (s *session) left(now time.Time) time.Duration {
	var short time.Duration
	n := 0
	for i := range s.cases {
		if p := &s.progress[i]; p.done && s.cases[i].Slow == 0 && s.results[i].State != report.Skipped {
			short += p.took
			n++
		}
	}
	mean := short / time.Duration(max(1, n))
	var side, longest, alone time.Duration
	for i := range s.cases {
		p, c := &s.progress[i], &s.cases[i]
		if p.done {
			continue
		}
		one := max(c.Slow, mean)
		if !p.began.IsZero() {
			one = max(0, one-now.Sub(p.began))
		}
		switch {
		case c.Alone:
			alone += one
			continue
		case !c.Waits:
			side += one
		}
		longest = max(longest, one)
	}
	return max(side/time.Duration(s.parallel()), longest) + alone
}
