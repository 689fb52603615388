// SPDX-License-Identifier: Apache-2.0

package site

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// matrix is the first page: a table for each family.
type matrix struct {
	Tables []table
	// Implementations and Reports are how many there are.
	Implementations, Reports int
}

// table has the implementations of a family as its rows. Its columns are the
// profiles or, where those are judged by each version of CNI, the versions.
type table struct {
	Title   string
	Columns []column
	// Profiled means that a row names its profile, for the columns do not.
	Profiled bool
	Rows     []row
}

type column struct{ Name, Title string }

// row is a version of an implementation, or one profile of it.
type row struct {
	*Implementation
	Version Version
	// Span is how many rows the implementation's heading stands for; 0 where an
	// earlier row has it. Last says that no later version was judged.
	Span    int
	Last    bool
	Profile string
	All     cell
	Cells   []cell
}

// cell is how many of some MUSTs are kept.
type cell struct {
	// Result is that of the cell's MUSTs, "" when there are none here.
	Result report.Result
	// Count is short ("12/14"), Words say what it means ("2 fail").
	Count, Words string
}

// cellOf counts MUSTs. Those that do not apply count neither way.
func cellOf(n report.Count) cell {
	c := cell{Result: n.Result(), Count: fmt.Sprintf("%d/%d", n.Passed, n.Passed+n.Failed+n.Waived+n.Skipped)}
	switch c.Result {
	case report.ResultFailure:
		c.Words = fmt.Sprintf("%d fail", n.Failed)
	case report.ResultWaived:
		c.Words = fmt.Sprintf("%d waived", n.Waived)
	case report.ResultPartial:
		c.Words = fmt.Sprintf("%d skipped", n.Skipped)
	case report.ResultNone:
		c.Count, c.Words = "none", "apply"
	default:
		c.Words = "pass"
	}
	return c
}

func (s *Site) matrix() matrix {
	m := matrix{Implementations: len(s.Implementations)}
	for _, i := range s.Implementations {
		m.Reports += len(i.Versions)
	}
	for _, f := range s.families() {
		if t := s.table(f); len(t.Rows) > 0 {
			m.Tables = append(m.Tables, t)
		}
	}
	return m
}

// families are the site's, and one of the profiles that reports have and the
// catalog does not: somebody else's, or earlier ones.
func (s *Site) families() []Family {
	known := map[string]bool{}
	for _, f := range s.Families {
		for _, p := range f.Profiles {
			known[p.Name] = true
		}
	}
	others := Family{Title: "Other targets"}
	for _, i := range s.Implementations {
		for _, v := range i.Versions {
			for _, p := range v.Summary {
				if !known[p.Profile] {
					known[p.Profile] = true
					others.Profiles = append(others.Profiles, Profile{p.Profile, p.Profile})
				}
			}
		}
	}
	return append(slices.Clone(s.Families), others)
}

func (s *Site) table(f Family) table {
	t := table{Title: f.Title}
	editions := s.editions(f)
	if t.Profiled = len(editions) > 0; t.Profiled {
		for _, e := range editions {
			t.Columns = append(t.Columns, column{e, "version " + e + " of CNI"})
		}
	} else {
		for _, p := range f.Profiles {
			t.Columns = append(t.Columns, column(p))
		}
	}
	for _, i := range s.Implementations {
		rows := t.rows(f, i)
		if len(rows) > 0 {
			rows[0].Span = len(rows)
		}
		t.Rows = append(t.Rows, rows...)
	}
	return t
}

// rows are those of one implementation, the last version first.
func (t *table) rows(f Family, i *Implementation) []row {
	var all []row
	for n, v := range i.Versions {
		at := row{Implementation: i, Version: v, Last: n == 0}
		if !t.Profiled {
			for _, p := range f.Profiles {
				at.Cells = append(at.Cells, profileCell(v, p.Name))
			}
			if slices.ContainsFunc(at.Cells, func(c cell) bool { return c.Result != "" }) {
				at.All = cellOf(v.Count(spec.Must))
				all = append(all, at)
			}
			continue
		}
		for _, p := range f.Profiles {
			if at.All = profileCell(v, p.Name); at.All.Result == "" {
				continue
			}
			at.Profile, at.Cells = p.Name, nil
			for _, c := range t.Columns {
				at.Cells = append(at.Cells, editionCell(v, p.Name, c.Name))
			}
			all = append(all, at)
		}
	}
	return all
}

func profileCell(v Version, profile string) cell {
	for _, p := range v.Summary {
		if p.Profile == profile {
			return cellOf(p.Must)
		}
	}
	return cell{}
}

func editionCell(v Version, profile, edition string) cell {
	for _, e := range v.EditionsOf(profile) {
		if e.Edition == edition {
			return cellOf(e.Must)
		}
	}
	return cell{}
}

// editions are the versions of CNI by which any report judged one of the family's
// profiles.
func (s *Site) editions(f Family) []string {
	var all []string
	for _, i := range s.Implementations {
		for _, v := range i.Versions {
			for _, e := range v.Editions {
				if slices.ContainsFunc(f.Profiles, func(p Profile) bool { return p.Name == e.Profile }) {
					all = append(all, e.Edition)
				}
			}
		}
	}
	slices.SortFunc(all, cmp.Compare[string])
	return slices.Compact(all)
}
