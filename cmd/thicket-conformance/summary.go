// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/report"
)

// summarize prints what was skipped or does not apply and why, what failed, and the counts.
func summarize(out io.Writer, r *report.Report, verbose bool) {
	for _, c := range r.Cases {
		for _, note := range c.Notes {
			fmt.Fprintf(out, "\n%s: %s\n", c.ID, note)
		}
		if c.State == report.Skipped || c.State == report.NotApplicable {
			fmt.Fprintf(out, "\n%s %s (%s): %s\n", c.State, c.ID, c.Title, c.Reason)
		}
	}
	for _, c := range r.Cases {
		if c.State != report.Failed && c.State != report.Waived {
			continue
		}
		story := c.Brief()
		if verbose {
			story = c.Story()
		}
		excuse := ""
		if text := c.Excuse(); text != "" {
			excuse = "\n  " + text
		}
		fmt.Fprintf(out, "\n%s %s %s: %s\n  source: %s%s\n  %s\n%s", strings.ToUpper(string(c.State)), c.Level, c.ID, c.Title, c.Source, excuse, strings.ReplaceAll(c.Reason, "\n", "\n  "), story)
	}
	fmt.Fprintf(out, "\n%s, version %q, judged by suite %s in %.0f s, seed %d%s\n\n", r.Target.Name, r.Version(), r.Suite.Version, r.Seconds, r.Seed, r.Slowness())
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "profile\tMUST passed\tfailed\twaived\tskipped\tn/a\tSHOULD passed\tfailed\twaived\tskipped\tn/a\t")
	total := report.ProfileSummary{Profile: "all", Must: r.Count(conformance.Must), Should: r.Count(conformance.Should)}
	for _, s := range append(r.Summary, total) {
		fmt.Fprintf(t, "%s\t%s%s\n", s.Profile, cells(s.Must), cells(s.Should))
	}
	_ = t.Flush()
	for _, line := range r.Conformance() {
		fmt.Fprintf(out, "\n%s", line)
	}
	fmt.Fprintf(out, "\n%s\n", r.Total())
}

// cells are the cells of a table for a count.
func cells(n report.Count) string {
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t", n.Passed, n.Failed, n.Waived, n.Skipped, n.NotApplicable)
}
