// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// State is how a case ended.
type State string

// The states of a case. A skipped one always has a reason, and is never
// counted as passed.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// Failure is how a case came to fail, for who wants to know whether it is the
// requirement itself that was not kept.
type Failure string

const (
	// FailedAssertion is an assertion of the case.
	FailedAssertion Failure = "assertion"
	// FailedDeadline is a case that did not end in time.
	FailedDeadline Failure = "deadline"
	// FailedUnserved is a daemon that did not come to serve.
	FailedUnserved Failure = "unserved"
	// FailedLeftovers is a case that went well and left something behind.
	FailedLeftovers Failure = "leftovers"
	// FailedSuite is a case that could not be carried out to its end.
	FailedSuite Failure = "suite"
)

// CaseResult is one case of a report.
type CaseResult struct {
	ID      string `json:"id"`
	Level   Level  `json:"level"`
	Profile string `json:"profile"`
	Title   string `json:"title"`
	Source  string `json:"source"`
	State   State  `json:"state"`
	// Failure is how it came to fail.
	Failure Failure `json:"failure,omitempty"`
	// Reason is why it failed or was skipped.
	Reason string `json:"reason,omitempty"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
	// Notes are what the case measured, such as how much was left behind.
	Notes []string `json:"notes,omitempty"`
	// Output is what helps to understand a failure: the daemons' logs.
	Output string `json:"output,omitempty"`
	// Calls are the delegates' in a case that failed, in the order in which they
	// began; CallsBefore is how many earlier ones are left out.
	Calls       []CallResult `json:"calls,omitempty"`
	CallsBefore int          `json:"callsBefore,omitempty"`
}

// Count is how many cases ended how.
type Count struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
}

func (c *Count) add(s State) {
	switch s {
	case Passed:
		c.Passed++
	case Failed:
		c.Failed++
	case Skipped:
		c.Skipped++
	}
}

// ProfileSummary counts the cases of one profile.
type ProfileSummary struct {
	Profile string `json:"profile"`
	Must    Count  `json:"must"`
	Should  Count  `json:"should"`
}

// Report is what a run found.
type Report struct {
	Suite struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"suite"`
	Target struct {
		Name     string    `json:"name"`
		Version  string    `json:"version"`
		Features []Feature `json:"features"`
	} `json:"target"`
	// Seed repeats the run's order.
	Seed    uint64           `json:"seed"`
	Started time.Time        `json:"started"`
	Seconds float64          `json:"seconds"`
	Summary []ProfileSummary `json:"summary"`
	Cases   []CaseResult     `json:"cases"`
}

// summarize counts the cases, by profile in the order in which they stand.
func (r *Report) summarize() {
	r.Summary = nil
	at := map[string]int{}
	for _, c := range r.Cases {
		i, known := at[c.Profile]
		if !known {
			i = len(r.Summary)
			at[c.Profile] = i
			r.Summary = append(r.Summary, ProfileSummary{Profile: c.Profile})
		}
		if c.Level == Must {
			r.Summary[i].Must.add(c.State)
		} else {
			r.Summary[i].Should.add(c.State)
		}
	}
}

// Count returns how many cases of a level ended how.
func (r *Report) Count(level Level) Count {
	var n Count
	for _, c := range r.Cases {
		if c.Level == level {
			n.add(c.State)
		}
	}
	return n
}

// Write writes report.json, report.yaml, report.html and junit.xml into a
// directory, which it makes.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	junit, err := r.junit()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	published, err := r.yaml()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page, err := r.html()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	files := map[string][]byte{"report.json": append(data, '\n'), "report.yaml": published, "report.html": page, "junit.xml": junit}
	for name, content := range files {
		tmp := filepath.Join(dir, "."+name)
		if err := os.WriteFile(tmp, content, 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}
