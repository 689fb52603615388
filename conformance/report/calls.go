// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// MaxCalls is how many of a failing case's calls a report keeps, the last ones.
// MaxSteps is how many of its steps.
const (
	MaxCalls = 200
	MaxSteps = 20
)

// CallResult is one execution of a delegate in a failing case.
type CallResult struct {
	// After is the time from the case's first call to this one's begin.
	After       time.Duration `json:"after"`
	Command     string        `json:"command"`
	Network     string        `json:"network"`
	Interface   string        `json:"interface"`
	ContainerID string        `json:"containerID"`
	PID         int           `json:"pid"`
	// Took is how long it ran; nil for one that did not end by itself.
	Took *time.Duration `json:"took,omitempty"`
}

// StepResult is something that a failing case did: a request, a daemon's start.
type StepResult struct {
	// After is the time from the case's begin to the step's.
	After time.Duration `json:"after"`
	Text  string        `json:"text"`
	// Outcome is what came of it, such as an answer.
	Outcome string `json:"outcome,omitempty"`
	// Took is how long it lasted; nil for one that had no end yet.
	Took *time.Duration `json:"took,omitempty"`
}

// Headline is the failure in a sentence.
func (r *CaseResult) Headline() string {
	line, _, _ := strings.Cut(r.Reason, "\n")
	return line
}

// Story is what helps to understand a failure, as text: the daemons' logs, the
// delegates' calls, the case's steps, and the command that judges it again.
func (r *CaseResult) Story() string { return r.story(len(r.Steps), len(r.Calls), r.Output) }

// briefLine is how much of a line Brief shows, in characters.
const briefLine = 400

// Brief is the end of the Story, some twenty lines.
func (r *CaseResult) Brief() string {
	output := r.Output
	if output != "" {
		output = "--- the target printed last\n" + spec.LastLines(output, 8)
		lines := strings.Split(output, "\n")
		for i, line := range lines {
			if r := []rune(line); len(r) > briefLine {
				lines[i] = string(r[:briefLine]) + " …"
			}
		}
		output = strings.Join(lines, "\n")
	}
	return r.story(6, 6, output)
}

// story shows the last steps and calls.
func (r *CaseResult) story(steps, calls int, output string) string {
	var b strings.Builder
	if output != "" {
		b.WriteString(strings.TrimRight(output, "\n") + "\n")
	}
	if left := r.CallsBefore + max(0, len(r.Calls)-calls); left > 0 {
		fmt.Fprintf(&b, "--- %d earlier calls\n", left)
	}
	for _, c := range r.Calls[max(0, len(r.Calls)-calls):] {
		fmt.Fprintf(&b, "--- call +%s %s %s of %s as %s, pid %d, %s\n", rounded(c.After), c.Command, c.Network, c.ContainerID, c.Interface, c.PID, lasted(c.Took))
	}
	for _, s := range r.Steps[max(0, len(r.Steps)-steps):] {
		fmt.Fprintf(&b, "--- step +%s %s: %s, %s\n", rounded(s.After), s.Text, cmp.Or(s.Outcome, "…"), lasted(s.Took))
	}
	if r.Rerun != "" {
		fmt.Fprintf(&b, "--- alone, with everything kept: %s\n", r.Rerun)
	}
	return b.String()
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// lasted says how long something took.
func lasted(d *time.Duration) string {
	if d == nil {
		return "no end"
	}
	return rounded(*d).String()
}
