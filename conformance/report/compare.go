// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// Absent is the state of a case that a report does not have.
const Absent State = "absent"

// Comparison sets reports side by side.
type Comparison struct {
	Reports []*Report
	// Names head the reports' columns: implementation and version and, where both
	// are the same, a number.
	Names []string
	// Rows are the cases, those that differ first.
	Rows []ComparedCase
	// Profiles are those that occur, in the order in which the reports have them.
	Profiles []string
	// Differing is how many cases differ, Partial how many are not in every
	// report.
	Differing, Partial int
	// Suites says which versions judged when they are not the same, "" when
	// they are.
	Suites string
}

// ComparedCase is one case and how each implementation did.
type ComparedCase struct {
	// CaseResult is the case as the first report that has it tells of it.
	CaseResult
	// Results are one per report; their State is Absent where there is none.
	Results []CaseResult
	// Differs means that not all of those that there are ended alike.
	Differs bool
}

// ReadReport reads a report.json. An error names the file.
func ReadReport(path string) (*Report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if err := readable(data); err != nil {
		return nil, fmt.Errorf("report %s: %w", path, err)
	}
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("report %s: %w", path, err)
	}
	if r.Suite.Version == "" || r.Target.Name == "" || len(r.Cases) == 0 {
		return nil, fmt.Errorf("report %s: no suite version, implementation or case in it; is it a report.json of thicket-conformance run --report?", path)
	}
	for _, c := range r.Cases {
		switch {
		case c.ID == "" || c.Profile == "":
			return nil, fmt.Errorf("report %s: a case has the id %q and the profile %q; both are needed", path, c.ID, c.Profile)
		case !slices.Contains(States, c.State):
			return nil, fmt.Errorf("report %s: case %s has the state %q; states are %v", path, c.ID, c.State, States)
		}
	}
	r.Summarize()
	return &r, nil
}

// readable looks at a report's head alone: the rest of a newer one may have
// another form.
func readable(data []byte) error {
	var head struct {
		Schema int `json:"schemaVersion"`
		Suite  struct {
			Version string `json:"version"`
		} `json:"suite"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	if head.Schema > SchemaVersion {
		return fmt.Errorf("it has schema version %d, and this program (suite %s) reads up to %d; use suite %s or a later one",
			head.Schema, spec.Version, SchemaVersion, head.Suite.Version)
	}
	return nil
}

// Compare sets two or more reports side by side, in their order.
func Compare(reports ...*Report) (*Comparison, error) {
	if len(reports) < 2 {
		return nil, errors.New("a comparison takes two reports or more")
	}
	c := &Comparison{Reports: reports, Names: columnNames(reports)}
	at := map[string]int{}
	for i, r := range reports {
		if r.Suite.Version != reports[0].Suite.Version {
			c.Suites += fmt.Sprintf("%s was judged by suite %s, %s by %s. ", c.Names[i], r.Suite.Version, c.Names[0], reports[0].Suite.Version)
		}
		for _, k := range r.Cases {
			row, known := at[k.ID]
			if !known {
				row = len(c.Rows)
				at[k.ID] = row
				c.Rows = append(c.Rows, ComparedCase{CaseResult: k, Results: allAbsent(len(reports))})
			}
			c.Rows[row].Results[i] = k
		}
	}
	for i := range c.Rows {
		row := &c.Rows[i]
		// CaseResult is of the first report that has the case.
		row.Differs = slices.ContainsFunc(row.Results, func(k CaseResult) bool { return k.State != Absent && k.State != row.State })
		if row.Differs {
			c.Differing++
		}
		if slices.ContainsFunc(row.Results, func(k CaseResult) bool { return k.State == Absent }) {
			c.Partial++
		}
	}
	for _, row := range c.Rows {
		if !slices.Contains(c.Profiles, row.Profile) {
			c.Profiles = append(c.Profiles, row.Profile)
		}
	}
	slices.SortStableFunc(c.Rows, c.order)
	return c, nil
}

// columnNames are the implementations' names with their versions, made distinct.
func columnNames(reports []*Report) []string {
	names := make([]string, len(reports))
	for i, r := range reports {
		names[i] = strings.TrimSpace(r.Target.Name + " " + r.Version())
	}
	numbered := slices.Clone(names)
	for i := range reports {
		if repeated(names, i) {
			numbered[i] += fmt.Sprintf(" (%d)", i+1)
		}
	}
	return numbered
}

// repeated reports whether the name at an index occurs at another one, too.
func repeated(names []string, i int) bool {
	return slices.Contains(names[:i], names[i]) || slices.Contains(names[i+1:], names[i])
}

func allAbsent(n int) []CaseResult { return slices.Repeat([]CaseResult{{State: Absent}}, n) }

// order puts the differences first; both parts stay in the reports' order.
func (c *Comparison) order(a, b ComparedCase) int {
	switch {
	case a.Differs && !b.Differs:
		return -1
	case b.Differs && !a.Differs:
		return 1
	}
	return slices.Index(c.Profiles, a.Profile) - slices.Index(c.Profiles, b.Profile)
}

// Told says whether a report tells more of the case than how it ended.
func (k ComparedCase) Told() bool {
	return slices.ContainsFunc(k.Results, func(r CaseResult) bool { return r.Reason != "" || len(r.Notes) > 0 })
}

// WriteHTML writes the comparison as one self-contained page.
func (c *Comparison) WriteHTML(w io.Writer) error { return page(w, "compare.html.tmpl", c) }

// WriteText writes a short table: the counts, and the cases that differ.
func (c *Comparison) WriteText(w io.Writer) error {
	if c.Suites != "" {
		fmt.Fprintf(w, "%s\n\n", strings.TrimSpace(c.Suites))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMPLEMENTATION\tVERSION\tSUITE\tPASSED\tFAILED\tWAIVED\tSKIPPED\tNOT APPLICABLE")
	for _, r := range c.Reports {
		n := r.Total()
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\n", r.Target.Name, r.Version(), r.Suite.Version, n.Passed, n.Failed, n.Waived, n.Skipped, n.NotApplicable)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d of %d cases differ\n", c.Differing, len(c.Rows))
	if c.Partial > 0 {
		fmt.Fprintf(w, "not in every report, and compared by those that have it: %d\n", c.Partial)
	}
	if c.Differing == 0 {
		return nil
	}
	fmt.Fprint(t, "\nCASE\tLEVEL")
	for _, name := range c.Names {
		fmt.Fprint(t, "\t", name)
	}
	fmt.Fprintln(t, "\tREQUIREMENT")
	for _, row := range c.Rows[:c.Differing] {
		fmt.Fprintf(t, "%s\t%s", row.ID, row.Level)
		for _, k := range row.Results {
			fmt.Fprint(t, "\t", k.State)
		}
		fmt.Fprintf(t, "\t%s\n", row.Title)
	}
	return t.Flush()
}
