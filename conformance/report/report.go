// SPDX-License-Identifier: Apache-2.0

// Package report has what a run found, and its renderings. Its types are what
// report.json holds: programs may read them back.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// State is how a case ended.
type State string

// The states of a case. A skipped one, and one that does not apply, always has
// a reason, and is never counted as passed.
const (
	Passed State = "passed"
	Failed State = "failed"
	// Waived means that it failed, and that a waiver excuses the failure until a
	// day. It does not gate, and is not counted as passed.
	Waived State = "waived"
	// Skipped means that the requirement holds for the subject, or would if it
	// did more, and was not judged: the verdict has a gap.
	Skipped State = "skipped"
	// NotApplicable means that the requirement speaks of something that the
	// subject rightly has not: the verdict has no gap.
	NotApplicable State = "not-applicable"
)

// States are those that a case can have.
var States = []State{Passed, Failed, Waived, Skipped, NotApplicable}

// Failure says how a case came to fail: whether the requirement itself was not
// kept, or something around it went wrong.
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
	// Interrupted is a case that the run was ended before. Its State is Skipped,
	// for the subject did nothing wrong.
	Interrupted Failure = "interrupted"
)

// CaseResult is one case of a report.
type CaseResult struct {
	ID      string     `json:"id"`
	Level   spec.Level `json:"level"`
	Profile string     `json:"profile"`
	Title   string     `json:"title"`
	Source  string     `json:"source"`
	State   State      `json:"state"`
	// Failure is how it came to fail, or not to be judged.
	Failure Failure `json:"failure,omitempty"`
	// Reason is why it failed, was skipped or does not apply.
	Reason string `json:"reason,omitempty"`
	// Unworded means that the case has no words for what failed: the headline is
	// made of the requirement's.
	Unworded bool `json:"unworded,omitempty"`
	// Step is the part of the case that failed, in the case's words.
	Step string `json:"step,omitempty"`
	// Seconds is how long it took.
	Seconds float64 `json:"seconds"`
	// CPUSeconds is the processor time that its processes took: a case that takes
	// long and has little of it waits. It is 0 where that is not known.
	CPUSeconds float64 `json:"cpuSeconds,omitempty"`
	// Processes is the most that were counted at once, the suite's two among them.
	Processes int `json:"processes,omitempty"`
	// Notes are what the case measured, such as how much was left behind.
	Notes []string `json:"notes,omitempty"`
	// Output is what helps to understand a failure: the daemons' logs.
	Output string `json:"output,omitempty"`
	// Calls are the delegates' in a case that failed, in the order in which they
	// began; CallsBefore is how many earlier ones are left out.
	Calls       []CallResult `json:"calls,omitempty"`
	CallsBefore int          `json:"callsBefore,omitempty"`
	// Editions are the outcomes by which the case was judged one by one, such as
	// the versions of a protocol; none for a case without.
	Editions []EditionResult `json:"editions,omitempty"`
	// Waivers are those of the case, when it failed: the ones that excuse it, and
	// those that have expired.
	Waivers []Waiver `json:"waivers,omitempty"`
	// Before is the state of the case in the baseline, "absent" when it has none;
	// empty in a run without a baseline. Worse means that the case, or one of its
	// editions, got worse since.
	Before State `json:"before,omitempty"`
	Worse  bool  `json:"worse,omitempty"`
	// Steps are what a case that failed did last, in the order in which it began.
	Steps []StepResult `json:"steps,omitempty"`
	// Rerun is the command that judges a case that failed alone, and keeps
	// everything.
	Rerun string `json:"rerun,omitempty"`
}

// EditionResult is the outcome of one edition of a case.
type EditionResult struct {
	Edition string `json:"edition"`
	State   State  `json:"state"`
	// Reason is why it failed or was skipped.
	Reason string `json:"reason,omitempty"`
}

// Count is how many cases ended how.
type Count struct {
	Passed        int `json:"passed"`
	Failed        int `json:"failed"`
	Waived        int `json:"waived"`
	Skipped       int `json:"skipped"`
	NotApplicable int `json:"notApplicable"`
}

// Add counts one case.
func (c *Count) Add(s State) {
	switch s {
	case Passed:
		c.Passed++
	case Failed:
		c.Failed++
	case Waived:
		c.Waived++
	case Skipped:
		c.Skipped++
	case NotApplicable:
		c.NotApplicable++
	}
}

// String is the count in words, those that are waived only where there are any.
func (c Count) String() string {
	waived := ""
	if c.Waived > 0 {
		waived = fmt.Sprintf("%d waived, ", c.Waived)
	}
	return fmt.Sprintf("%d passed, %d failed, %s%d skipped, %d not applicable", c.Passed, c.Failed, waived, c.Skipped, c.NotApplicable)
}

// ProfileSummary counts the cases of one profile.
type ProfileSummary struct {
	Profile string `json:"profile"`
	Must    Count  `json:"must"`
	Should  Count  `json:"should"`
}

// SchemaVersion is the version of report.json that this package writes. It
// changes when a reader of the older form would misread the newer one; new keys
// alone do not change it.
//
// 3 has the state waived.
const SchemaVersion = 3

// Report is what a run found.
type Report struct {
	// Schema is the SchemaVersion of the suite that wrote the report; 0 for
	// suites before 0.3.0.
	Schema int `json:"schemaVersion"`
	Suite  struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"suite"`
	Target struct {
		Name     string         `json:"name"`
		Version  string         `json:"version"`
		Features []spec.Feature `json:"features"`
		// Undeclared are features that it has by what it answers and does not
		// declare; Unsurveyed is why they could not be found out, "" when they were,
		// or were not looked for.
		Undeclared []spec.Feature `json:"undeclaredFeatures,omitempty"`
		Unsurveyed string         `json:"unsurveyed,omitempty"`
	} `json:"target"`
	// Implementation says whose the target is, for a report that is published.
	Implementation Implementation `json:"implementation,omitzero"`
	// Selection is what was left out; nil when the whole catalog was judged, as far
	// as it judges this kind of target.
	Selection *Selection `json:"selection,omitempty"`
	// Seed repeats the run's order.
	Seed    uint64           `json:"seed"`
	Started time.Time        `json:"started"`
	Seconds float64          `json:"seconds"`
	Summary []ProfileSummary `json:"summary"`
	// Editions count the cases of each edition of a profile.
	Editions []EditionSummary `json:"editions,omitempty"`
	// Waivers are those of the run, and what came of each.
	Waivers []WaiverResult `json:"waivers,omitempty"`
	// Baseline is the report against which the run was held.
	Baseline *Baseline    `json:"baseline,omitempty"`
	Cases    []CaseResult `json:"cases"`
}

// Publisher says whose an implementation is, after the reports of Gateway API.
// All of it may be left out.
type Publisher struct {
	// Organization makes it, such as a company or a foundation's project.
	Organization string `json:"organization,omitempty" yaml:"organization,omitempty"`
	// Project is the implementation's own name.
	Project string `json:"project,omitempty" yaml:"project,omitempty"`
	// URL is where it is to be found.
	URL string `json:"url,omitempty" yaml:"url,omitempty" jsonschema:"format=uri"`
	// Contact are people or teams to ask: names of GitHub (@owner/team) or addresses.
	Contact []string `json:"contact,omitempty" yaml:"contact,omitempty"`
}

// Implementation is what a run is told of the implementation.
type Implementation struct {
	Publisher `yaml:",inline"`
	// Version takes the place of the version that the target tells.
	Version string `json:"version,omitempty" yaml:"version,omitempty"`
}

// Selection is how the cases of a run were chosen: names and patterns.
type Selection struct {
	Profiles []string   `json:"profiles,omitempty" yaml:"profiles,omitempty"`
	Only     []string   `json:"only,omitempty" yaml:"only,omitempty"`
	Skip     []string   `json:"skip,omitempty" yaml:"skip,omitempty"`
	Level    spec.Level `json:"level,omitempty" yaml:"level,omitempty"`
	// Fast means that the cases that take long were left out.
	Fast bool `json:"fast,omitempty" yaml:"fast,omitempty"`
}

// Version is the implementation's version.
func (r *Report) Version() string { return cmp.Or(r.Implementation.Version, r.Target.Version) }

// Summarize counts the cases, by profile in the order in which they stand.
func (r *Report) Summarize() {
	r.Summary = nil
	at := map[string]int{}
	for _, c := range r.Cases {
		i, known := at[c.Profile]
		if !known {
			i = len(r.Summary)
			at[c.Profile] = i
			r.Summary = append(r.Summary, ProfileSummary{Profile: c.Profile})
		}
		if c.Level == spec.Must {
			r.Summary[i].Must.Add(c.State)
		} else {
			r.Summary[i].Should.Add(c.State)
		}
	}
	r.Editions = r.summarizeEditions()
}

// Count returns how many cases of a level ended how.
func (r *Report) Count(level spec.Level) Count {
	var n Count
	for _, c := range r.Cases {
		if c.Level == level {
			n.Add(c.State)
		}
	}
	return n
}

// Total is how many cases ended how, of both levels.
func (r *Report) Total() Count {
	var n Count
	for _, c := range r.Cases {
		n.Add(c.State)
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
