// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"

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
	ID      string     `json:"id" jsonschema:"required"`
	Level   spec.Level `json:"level" jsonschema:"enum=MUST,enum=SHOULD"`
	Profile string     `json:"profile" jsonschema:"required"`
	Title   string     `json:"title"`
	Source  string     `json:"source"`
	State   State      `json:"state" jsonschema:"required,enum=passed,enum=failed,enum=waived,enum=skipped,enum=not-applicable"`
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
