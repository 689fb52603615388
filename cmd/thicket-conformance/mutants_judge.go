// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"

	"github.com/thicket-cni/thicket/conformance"
)

// trial is one case against one mutant.
type trial struct {
	mutant *mutant
	of     conformance.Case
}

// trialResult is how a trial ended.
type trialResult struct {
	Mutant string `json:"mutant"`
	// Kubernetes says that it had an API server.
	Kubernetes bool `json:"kubernetes,omitempty"`
	conformance.CaseResult
}

// trials pairs each mutant with the cases that claim it, and the baseline with
// all of those; the longest come first.
func (f *mutantsFlags) trials(chosen []mutant) ([]trial, error) {
	var all []trial
	claimed := map[bool][]string{} // by whether there is an API server
	for i := range chosen {
		m := &chosen[i]
		cases, err := conformance.Select(conformance.Selection{IDs: m.Cases})
		if err != nil {
			return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		if m.Equivalent != "" {
			continue
		}
		for _, c := range cases {
			all = append(all, trial{m, c})
			claimed[m.Kubernetes] = append(claimed[m.Kubernetes], c.ID)
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	for withAPI, ids := range claimed {
		none := &mutant{Name: baseline, Kind: kindDaemon, Kubernetes: withAPI}
		cases, err := conformance.Select(conformance.Selection{IDs: ids})
		if err != nil {
			return nil, err
		}
		for _, c := range cases {
			all = append(all, trial{none, c})
		}
	}
	slices.SortStableFunc(all, func(a, b trial) int {
		return cmp.Or(compareBool(b.of.Alone, a.of.Alone), cmp.Compare(b.of.Slow, a.of.Slow))
	})
	return all, nil
}

// judgeAll runs the trials side by side and returns their results in the order
// of the trials.
func (f *mutantsFlags) judgeAll(ctx context.Context, out io.Writer, trials []trial) ([]trialResult, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	results := make([]trialResult, len(trials))
	todo := make(chan int, len(trials))
	for i := range trials {
		todo <- i
	}
	close(todo)
	var mu sync.Mutex
	var alone sync.RWMutex
	var workers sync.WaitGroup
	done := 0
	for range f.workers() {
		workers.Go(func() {
			for i := range todo {
				if ctx.Err() != nil {
					return
				}
				r, err := f.tryAmong(ctx, &alone, &trials[i])
				if err != nil {
					stop(fmt.Errorf("mutant %s, case %s: %w", trials[i].mutant.Name, trials[i].of.ID, err))
					return
				}
				mu.Lock()
				results[i] = *r
				done++
				fmt.Fprintf(out, "%3d/%d  %-9s  %-8s %5.1f s  %s\n", done, len(trials), outcome(trials[i].mutant, &r.CaseResult), r.ID, r.Seconds, r.Mutant)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return results, context.Cause(ctx)
}

// tryAmong is try beside the others, or with nothing else running.
func (f *mutantsFlags) tryAmong(ctx context.Context, alone *sync.RWMutex, t *trial) (*trialResult, error) {
	if t.of.Alone {
		alone.Lock()
		defer alone.Unlock()
	} else {
		alone.RLock()
		defer alone.RUnlock()
	}
	return f.try(ctx, t)
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// try runs one case against one mutant.
func (f *mutantsFlags) try(ctx context.Context, t *trial) (*trialResult, error) {
	settings, err := f.settingsFor(t.mutant)
	if err != nil {
		return nil, err
	}
	report, err := conformance.Judge(ctx, conformance.Options{
		Settings: settings, Selection: conformance.Selection{IDs: []string{t.of.ID}}, Parallel: 1, API: f.api,
		Command: func(ctx context.Context) *exec.Cmd {
			args := []string{"--" + flagJudged, t.mutant.Name, "--" + flagKind, t.mutant.Kind, "--" + flagLinks, f.links}
			if t.mutant.Kubernetes {
				args = append(args, "--"+flagAPI)
			}
			return exec.CommandContext(ctx, "/proc/self/exe", append(slices.Clone(os.Args[1:]), args...)...)
		},
	})
	if err != nil {
		return nil, err
	}
	return &trialResult{Mutant: t.mutant.Name, Kubernetes: t.mutant.Kubernetes, CaseResult: report.Cases[0]}, nil
}

// outcome is a word for how a case took to a mutant. Only a case that failed
// by itself has noticed the fault: one whose daemon did not start, that was
// skipped, or that broke down, has nothing to do with it.
func outcome(m *mutant, r *conformance.CaseResult) string {
	switch {
	case m.Name == baseline:
		return string(r.State)
	case r.State == conformance.Passed:
		return "survived"
	case r.State == conformance.Skipped:
		return "skipped"
	case r.Failure == conformance.FailedAssertion, r.Failure == conformance.FailedDeadline,
		r.Failure == conformance.FailedUnserved && m.Unserved:
		return killed
	}
	return string(r.Failure)
}

// killed is the outcome that every claim has to have.
const killed = "killed"
