// SPDX-License-Identifier: Apache-2.0

package site

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// requirements is the page that lists all of them.
type requirements struct {
	Rows     []requirement
	Profiles []string
}

// requirement is the page of one, and its row in the list.
type requirement struct {
	spec.Requirement
	// Known means that the catalog has it. Others were judged once, or by somebody
	// else's profile.
	Known bool
	// Outcomes are one per report that has it: failures first, then by name, the
	// last version first.
	Outcomes []outcome
	// Failing are the implementations whose last version fails it, Passing those
	// that pass.
	Failing, Passing []string
	*Explanation
}

// States are the states of the last versions, for the list's filter.
func (r *requirement) States() []report.State {
	var all []report.State
	for _, o := range r.Outcomes {
		if o.Last && !slices.Contains(all, o.State) {
			all = append(all, o.State)
		}
	}
	return all
}

// outcome is how one version of an implementation did.
type outcome struct {
	Implementation string
	Version        Version
	Last           bool
	report.CaseResult
}

func (s *Site) requirements() requirements {
	var all requirements
	at := map[string]int{}
	add := func(r spec.Requirement, known bool) {
		if _, there := at[r.ID]; there {
			return
		}
		at[r.ID] = len(all.Rows)
		all.Rows = append(all.Rows, requirement{Requirement: r, Known: known})
		if !slices.Contains(all.Profiles, r.Profile) {
			all.Profiles = append(all.Profiles, r.Profile)
		}
	}
	for _, r := range s.Requirements {
		add(r, true)
	}
	for _, i := range s.Implementations {
		for n, v := range i.Versions {
			for _, c := range v.Cases {
				add(spec.Requirement{ID: c.ID, Profile: c.Profile, Level: c.Level, Title: c.Title, Source: c.Source}, false)
				r := &all.Rows[at[c.ID]]
				r.Outcomes = append(r.Outcomes, outcome{i.Name, v, n == 0, c})
			}
		}
	}
	for i := range all.Rows {
		all.Rows[i].count()
	}
	return all
}

// count sorts the outcomes and names the implementations.
func (r *requirement) count() {
	slices.SortStableFunc(r.Outcomes, func(a, b outcome) int {
		return slices.Index(order, a.State) - slices.Index(order, b.State)
	})
	for _, o := range r.Outcomes {
		switch {
		case !o.Last:
		case o.State == report.Failed || o.State == report.Waived:
			r.Failing = append(r.Failing, o.Implementation)
		case o.State == report.Passed:
			r.Passing = append(r.Passing, o.Implementation)
		}
	}
}

// order is how the outcomes of a requirement stand: the question is who fails it.
var order = []report.State{report.Failed, report.Waived, report.Passed, report.Skipped, report.NotApplicable}
