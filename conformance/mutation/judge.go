// SPDX-License-Identifier: Apache-2.0

package mutation

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Options is what Judge needs.
type Options struct {
	// Catalog has the cases.
	Catalog *suite.Catalog
	// Try runs one case against one mutant.
	Try func(ctx context.Context, m *Mutant, id string) (*report.CaseResult, error)
	// Parallel is how many trials run side by side; 0 means three times the
	// cores.
	Parallel int
	// Again is how often a trial that ended wrongly (a fault not noticed, the
	// baseline failed) is tried once more, with nothing beside it: some faults show
	// by a race, and other trials take the machine's time. The verdict lists them.
	Again int
	// Unclaimed has each mutant also judged by the cases of its profiles that do
	// not claim it, so that the verdict can list which of them fail too.
	Unclaimed bool
	// Progress is called after each trial, one call at a time; may be nil.
	Progress func(done, of int, t *Trial)
}

// Trial is one case against one mutant, and how it ended.
type Trial struct {
	Mutant string `json:"mutant"`
	// Family is the mutant's.
	Family string `json:"family,omitempty"`
	// Kubernetes means that it had an API server.
	Kubernetes bool `json:"kubernetes,omitempty"`
	// Claimed means that the case claims the mutant.
	Claimed bool    `json:"claimed"`
	Outcome Outcome `json:"outcome"`
	report.CaseResult
	// Before are the tries that ended wrongly before this one.
	Before []report.CaseResult `json:"before,omitempty"`

	mutant *Mutant
	of     suite.Case
}

// Judge runs every mutant against the cases that claim it, and the baseline
// against all of those.
func Judge(ctx context.Context, mutants []Mutant, o Options) (*Verdict, error) {
	trials, err := o.trials(mutants)
	if err != nil {
		return nil, err
	}
	if err := o.run(ctx, trials); err != nil {
		return nil, err
	}
	return verdictOf(o.Catalog, mutants, trials), nil
}

// trials pairs each mutant with its cases, and the baseline with all of those;
// the longest come first.
func (o *Options) trials(mutants []Mutant) ([]Trial, error) {
	var all []Trial
	claimed := map[setting][]string{}
	for i := range mutants {
		m := &mutants[i]
		cases, err := o.Catalog.Select(suite.Selection{IDs: m.Cases})
		if err != nil {
			return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		if m.Equivalent != "" {
			continue
		}
		for _, c := range cases {
			all = append(all, Trial{Mutant: m.Name, Family: m.Family, Kubernetes: m.Kubernetes, Claimed: true, mutant: m, of: c})
			claimed[m.setting()] = append(claimed[m.setting()], c.ID)
		}
		if o.Unclaimed {
			all = append(all, o.unclaimed(m, cases)...)
		}
	}
	for with, ids := range claimed {
		none := &Mutant{Name: Baseline, Family: with.family, Kubernetes: with.kubernetes}
		cases, err := o.Catalog.Select(suite.Selection{IDs: ids})
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			all = append(all, Trial{Mutant: Baseline, Family: with.family, Kubernetes: with.kubernetes, mutant: none, of: c})
		}
	}
	slices.SortStableFunc(all, func(a, b Trial) int { return cmp.Compare(b.of.Slow, a.of.Slow) })
	return all, nil
}

// unclaimed are the trials of a mutant by the other cases of the profiles that
// claim it.
func (o *Options) unclaimed(m *Mutant, claiming []suite.Case) []Trial {
	var trials []Trial
	for _, c := range o.Catalog.Cases() {
		near := slices.ContainsFunc(claiming, func(k suite.Case) bool { return k.Profile == c.Profile })
		if near && !slices.Contains(m.Cases, c.ID) {
			trials = append(trials, Trial{Mutant: m.Name, Family: m.Family, Kubernetes: m.Kubernetes, mutant: m, of: c})
		}
	}
	return trials
}

// run runs the trials side by side, those whose case only waits beside the
// others, and those whose case has to be alone after them.
func (o *Options) run(ctx context.Context, trials []Trial) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	done := 0
	try := func(t *Trial) {
		if ctx.Err() != nil {
			return
		}
		r, err := o.Try(ctx, t.mutant, t.of.ID)
		if err != nil {
			stop(fmt.Errorf("mutant %s, case %s: %w", t.Mutant, t.of.ID, err))
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if t.Outcome != "" {
			t.Before = append(t.Before, t.CaseResult)
		} else {
			done++
		}
		t.CaseResult, t.Outcome = *r, outcome(t.mutant, r)
		if o.Progress != nil {
			o.Progress(done, len(trials), t)
		}
	}
	var alone []*Trial
	todo, waiting := make(chan *Trial, len(trials)), make(chan *Trial, len(trials))
	for i := range trials {
		switch t := &trials[i]; {
		case t.of.Alone:
			alone = append(alone, t)
		case t.of.Waits:
			waiting <- t
		default:
			todo <- t
		}
	}
	close(todo)
	close(waiting)
	var workers sync.WaitGroup
	work := func(n int, from <-chan *Trial) {
		for range n {
			workers.Go(func() {
				for t := range from {
					try(t)
				}
			})
		}
	}
	work(o.workers(), todo)
	work(maxWaiting, waiting)
	workers.Wait()
	for _, t := range alone {
		try(t)
	}
	for range o.Again {
		for i := range trials {
			if trials[i].wrong() {
				try(&trials[i])
			}
		}
	}
	return context.Cause(ctx)
}

// wrong reports whether a trial did not end as it should.
func (t *Trial) wrong() bool {
	if t.Mutant == Baseline {
		return t.Outcome != Sane
	}
	return t.Claimed && !t.Outcome.kills()
}

// maxWaiting is how many trials run beside the others that only wait.
const maxWaiting = 16

func (o *Options) workers() int {
	if o.Parallel > 0 {
		return o.Parallel
	}
	// Most of a failing case's time is spent waiting for what does not come.
	return 3 * runtime.NumCPU()
}
