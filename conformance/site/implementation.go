// SPDX-License-Identifier: Apache-2.0

package site

import (
	"html/template"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// implementation is the page of one implementation.
type implementation struct {
	*Implementation
	// Must counts the last version's MUSTs, All is the same as a cell of the matrix.
	Must report.Count
	All  cell
	// Failed are the cases that failed or are waived, MUSTs first; Unjudged are those
	// that were skipped or do not apply.
	Failed, Unjudged []report.CaseResult
	History          []step
	Badges           []shown
}

// step is one version in the history.
type step struct {
	Version Version
	All     cell
	Should  report.Count
	// Mended, Broken, Came and Went are the cases that differ from the version
	// judged before: the first two by failing, the last two by being judged.
	Mended, Broken, Came, Went []string
	// First means that no earlier version was judged.
	First bool
}

// shown is a badge as the page shows it.
type shown struct {
	Name  string
	Image template.HTML
}

func (s *Site) implementation(i *Implementation) implementation {
	last := i.Last()
	p := implementation{Implementation: i, Must: last.Count(spec.Must), All: cellOf(last.Count(spec.Must))}
	for _, level := range []spec.Level{spec.Must, spec.Should} {
		for _, c := range last.Cases {
			switch {
			case c.Level != level:
			case c.State == report.Failed || c.State == report.Waived:
				p.Failed = append(p.Failed, c)
			case c.State == report.Skipped || c.State == report.NotApplicable:
				p.Unjudged = append(p.Unjudged, c)
			}
		}
	}
	for n, v := range i.Versions {
		h := step{Version: v, All: cellOf(v.Count(spec.Must)), Should: v.Count(spec.Should), First: n == len(i.Versions)-1}
		if !h.First {
			h.since(i.Versions[n+1].Report)
		}
		p.History = append(p.History, h)
	}
	all := badges(i)
	for _, name := range sortedBadges(all) {
		p.Badges = append(p.Badges, shown{name, all[name].inline()})
	}
	return p
}

// since fills in what differs from an earlier report.
func (h *step) since(earlier *report.Report) {
	fails := func(c *report.CaseResult) bool {
		return c != nil && (c.State == report.Failed || c.State == report.Waived)
	}
	for _, c := range h.Version.Cases {
		before := find(earlier, c.ID)
		switch {
		case before == nil:
			h.Came = append(h.Came, c.ID)
		case fails(&c) && !fails(before):
			h.Broken = append(h.Broken, c.ID)
		case !fails(&c) && fails(before):
			h.Mended = append(h.Mended, c.ID)
		}
	}
	for _, c := range earlier.Cases {
		if find(h.Version.Report, c.ID) == nil {
			h.Went = append(h.Went, c.ID)
		}
	}
}

// find is a report's case, nil when it has none with that id.
func find(r *report.Report, id string) *report.CaseResult {
	i := slices.IndexFunc(r.Cases, func(c report.CaseResult) bool { return c.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Cases[i]
}

// headline is the first sentence of a reason, for a table.
func headline(reason string) string {
	first, _, more := strings.Cut(strings.TrimSpace(reason), "\n")
	const most = 240
	if cut := []rune(first); len(cut) > most {
		return string(cut[:most]) + " …"
	}
	if more {
		return strings.TrimSuffix(first, ":") + " …"
	}
	return first
}

// address is a publisher's address when it is one of the web, else "".
func address(url string) string {
	if strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://") {
		return url
	}
	return ""
}
