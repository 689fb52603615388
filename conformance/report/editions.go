// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// EditionSummary counts the cases of a profile by one edition, such as a version
// of a protocol. A case without editions counts in each.
type EditionSummary struct {
	Profile string `json:"profile"`
	Edition string `json:"edition"`
	Must    Count  `json:"must"`
	Should  Count  `json:"should"`
}

// Conforms reports whether no MUST failed, excused or not, and one passed.
func (s *EditionSummary) Conforms() bool {
	return s.Must.Failed == 0 && s.Must.Waived == 0 && s.Must.Passed > 0
}

// summarizeEditions counts by profile, in the order in which they stand, and by
// edition.
func (r *Report) summarizeEditions() []EditionSummary {
	var all []EditionSummary
	for _, p := range r.Summary {
		var editions []string
		for _, c := range r.CasesOf(p.Profile) {
			for _, e := range c.Editions {
				if !slices.Contains(editions, e.Edition) {
					editions = append(editions, e.Edition)
				}
			}
		}
		slices.SortFunc(editions, strings.Compare)
		for _, e := range editions {
			all = append(all, r.summarizeEdition(p.Profile, e))
		}
	}
	return all
}

func (r *Report) summarizeEdition(profile, edition string) EditionSummary {
	s := EditionSummary{Profile: profile, Edition: edition}
	for _, c := range r.CasesOf(profile) {
		switch state := c.stateAt(edition); {
		case state == Absent:
		case c.Level == spec.Must:
			s.Must.Add(state)
		default:
			s.Should.Add(state)
		}
	}
	return s
}

// EditionsOf are the summaries of a profile's editions.
func (r *Report) EditionsOf(profile string) []EditionSummary {
	return slices.DeleteFunc(slices.Clone(r.Editions), func(s EditionSummary) bool { return s.Profile != profile })
}

// Conformance says by which editions each profile's requirements are kept, a line
// a profile: "plugin conforms at 1.0.0, 1.1.0; not at 0.4.0". Profiles without
// editions have no line.
func (r *Report) Conformance() []string {
	var lines []string
	for _, p := range r.Summary {
		var conforms, not []string
		for _, e := range r.EditionsOf(p.Profile) {
			if e.Conforms() {
				conforms = append(conforms, e.Edition)
			} else {
				not = append(not, e.Edition)
			}
		}
		switch {
		case len(conforms) == 0 && len(not) == 0:
		case len(conforms) == 0:
			lines = append(lines, p.Profile+" does not conform at "+strings.Join(not, ", "))
		case len(not) == 0:
			lines = append(lines, p.Profile+" conforms at "+strings.Join(conforms, ", "))
		default:
			lines = append(lines, p.Profile+" conforms at "+strings.Join(conforms, ", ")+"; not at "+strings.Join(not, ", "))
		}
	}
	return lines
}
