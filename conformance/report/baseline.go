// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// Baseline is the earlier report against which a run was held: only what got
// worse fails.
type Baseline struct {
	// Name and Version are the implementation's in that report.
	Name    string `json:"name" yaml:"name"`
	Version string `json:"version" yaml:"version"`
	// Suite is the version of the suite that judged, Started is when.
	Suite   string    `json:"suiteVersion" yaml:"suiteVersion"`
	Started time.Time `json:"started" yaml:"started"`
}

// baseline is the report as others name it.
func (r *Report) baseline() *Baseline {
	return &Baseline{Name: r.Target.Name, Version: r.Target.Version, Suite: r.Suite.Version, Started: r.Started}
}

// Hold compares every case with the one of an earlier report: Before and Worse of
// the cases say what is new. It comes after the waivers.
func (r *Report) Hold(against *Report) {
	r.Baseline = against.baseline()
	for i := range r.Cases {
		r.Cases[i].Hold(against)
	}
}

// Hold compares one case with that of an earlier report.
func (r *CaseResult) Hold(against *Report) {
	var before *CaseResult
	for i := range against.Cases {
		if against.Cases[i].ID == r.ID {
			before = &against.Cases[i]
		}
	}
	r.Before = Absent
	if before != nil {
		r.Before = before.State
	}
	r.Worse = r.Failure != Interrupted && worse(r.Before, r.State)
	if before == nil || len(before.Editions) == 0 || r.Failure == Interrupted {
		return
	}
	was := map[string]State{}
	for _, e := range before.Editions {
		was[e.Edition] = e.State
	}
	for _, e := range r.Editions {
		state, known := was[e.Edition]
		if !known {
			state = Absent
		}
		r.Worse = r.Worse || worse(state, e.State)
	}
}

// worse reports whether one state is worse than the one before. What was waived
// and is not any more has got worse: a waiver ends. What passed and is not judged
// any more has, too, or a regression could be hidden by leaving out a feature.
func worse(before, now State) bool {
	switch now {
	case Failed:
		return before != Failed
	case Skipped, NotApplicable:
		return before == Passed
	}
	return false
}

// Gates reports whether the case makes a run fail: a MUST that failed or, in a run
// with a baseline, that got worse.
func (r *CaseResult) Gates() bool {
	if r.Before != "" {
		return r.Level == spec.Must && r.Worse
	}
	return r.Level == spec.Must && r.State == Failed
}

// Gating are the cases that make the run fail.
func (r *Report) Gating() []CaseResult {
	var all []CaseResult
	for i := range r.Cases {
		if r.Cases[i].Gates() {
			all = append(all, r.Cases[i])
		}
	}
	return all
}

// Regressions are the cases that got worse than in the baseline, whatever their
// level; see Hold.
func (r *Report) Regressions() []CaseResult {
	return slices.DeleteFunc(slices.Clone(r.Cases), func(c CaseResult) bool { return !c.Worse })
}

// Mended are the cases that failed in the baseline, waived or not, and pass.
func (r *Report) Mended() []CaseResult {
	return slices.DeleteFunc(slices.Clone(r.Cases), func(c CaseResult) bool {
		return c.State != Passed || c.Before != Failed && c.Before != Waived
	})
}
