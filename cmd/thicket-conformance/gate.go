// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance/report"
)

// gateFlags say which failures do not make a run fail.
type gateFlags struct {
	waivers, baseline string
	known             *report.Waivers
	before            *report.Report
}

func (f *gateFlags) registerGate(c *cobra.Command) {
	c.Flags().StringVar(&f.waivers, "waivers", "", "failures that are known and do not fail the run until a day, a YAML `file`; conformance/README.md has an example")
	c.Flags().StringVar(&f.baseline, "baseline", "", "an earlier report.json, a `file`: only what got worse fails the run")
}

// load reads the files.
func (f *gateFlags) load() (err error) {
	f.known, f.before, err = report.ReadKnown(f.waivers, f.baseline)
	return err
}

// tell prints what came of waivers and baseline, and at the end what fails the
// run.
func (f *gateFlags) tell(out io.Writer, r *report.Report) {
	for _, w := range r.Waivers {
		what := strings.TrimSpace(w.ID + " " + w.Version)
		switch w.Outcome {
		case report.WaiverUnneeded:
			fmt.Fprintf(out, "waiver %s: the case passes now; remove it from %s\n", what, f.waivers)
		case report.WaiverNotJudged:
			fmt.Fprintf(out, "waiver %s: the case was not judged\n", what)
		}
	}
	if b := r.Baseline; b != nil {
		fmt.Fprintf(out, "baseline: %s %s of %s\n", b.Name, b.Version, b.Started.Format("2006-01-02 15:04"))
	}
	if mended := r.Mended(); len(mended) > 0 {
		fmt.Fprintf(out, "failed in the baseline, and passes now: %s\n", ids(mended))
	}
	tellRegressions(out, r)
	if gating := r.Gating(); len(gating) > 0 {
		fmt.Fprintf(out, "\nThe run fails, by %d MUST:\n", len(gating))
		for _, c := range gating {
			fmt.Fprintln(out, "  "+strings.TrimSuffix(c.ID+": "+c.Excuse(), ": "))
		}
	}
}

// tellRegressions prints which cases got worse than in the baseline.
func tellRegressions(out io.Writer, r *report.Report) {
	if worse := r.Regressions(); len(worse) > 0 {
		fmt.Fprintf(out, "worse than in the baseline: %s\n", ids(worse))
	}
}

// ids lists cases, those that do not gate with their level.
func ids(cases []report.CaseResult) string {
	var all []string
	for i := range cases {
		text := cases[i].ID
		if cases[i].Level != "MUST" {
			text += " (" + string(cases[i].Level) + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
