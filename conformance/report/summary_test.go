// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What fails the run stands first, each with its command.
func TestSummary(t *testing.T) {
	r := waivedReport(t)
	for i := range r.Cases {
		r.Cases[i].Rerun = "thicket-conformance run --only " + r.Cases[i].ID
	}
	r.Cases[4].Reason = "said ``` and <b>|x"
	var b strings.Builder
	if err := r.WriteSummary(&b); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		"## Conformance of x 1\n\n**3 MUST failed.** 2 passed, 3 failed, 2 waived, 1 skipped",
		"#### failed MUST A-02", "its waiver expired on 2026-11-25: old.", "broken A-02", "```sh\nthicket-conformance run --only A-02\n```",
		"#### failed MUST A-05", "````\nsaid ``` and <b>|x\n````", "#### failed MUST A-07",
		"### Waived\n\n#### waived MUST A-01", "waived until 2027-01-31: known (https://example.org/1).",
		"- A-03 passes now: remove its waiver", "- A-04 was not judged", "| profile | MUST passed | failed | waived |",
		"| p | 2 | 3 | 2 | 1 | 0 | 0 | 0 | 0 | 0 | 0 |", "p does not conform at 0.4.0, 1.0.0.",
	} {
		found := strings.Index(b.String()[at:], want)
		if found < 0 {
			t.Fatalf("%q does not follow in\n%s", want, &b)
		}
		at += found
	}
}

// A summary is bounded, and is appended to what other steps wrote.
func TestSummaryOfMany(t *testing.T) {
	states := map[string]State{}
	for i := range 300 {
		states[fmt.Sprintf("A-%03d", i)] = Failed
	}
	r := reportOf("x", "1", states)
	for i := range r.Cases {
		r.Cases[i].Reason = strings.Repeat("ü", 1<<20)
	}
	r.Summarize()
	path := filepath.Join(t.TempDir(), "summary.md")
	for range 2 {
		if err := r.AppendSummary(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) > 1<<20 || strings.Count(string(text), "## Conformance of x 1\n") != 2 || !strings.Contains(string(text), "\n- failed MUST A-299") {
		t.Errorf("%v: %d bytes", err, len(text))
	}
	if err := r.AppendSummary(filepath.Join(path, "under")); err == nil || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}
