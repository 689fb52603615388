// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strings"
	"time"
)

// maxCalls is how many of a failing case's calls are kept, the last ones.
const maxCalls = 200

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

// callResults are the calls of a case as a report keeps them, and how many
// earlier ones it leaves out.
func callResults(calls []Call) (kept []CallResult, before int) {
	before = max(0, len(calls)-maxCalls)
	for _, c := range calls[before:] {
		r := CallResult{After: c.Start.Sub(calls[0].Start), Command: c.Command, Network: c.Network, Interface: c.Interface,
			ContainerID: c.ContainerID, PID: c.PID}
		if !c.End.IsZero() {
			took := c.End.Sub(c.Start)
			r.Took = &took
		}
		kept = append(kept, r)
	}
	return kept, before
}

// Story is what helps to understand a failure, as text: the daemons' logs and
// the delegates' calls.
func (r *CaseResult) Story() string {
	var b strings.Builder
	b.WriteString(r.Output)
	if r.CallsBefore > 0 {
		fmt.Fprintf(&b, "--- %d earlier calls\n", r.CallsBefore)
	}
	for _, c := range r.Calls {
		end := "no end"
		if c.Took != nil {
			end = c.Took.Round(time.Millisecond).String()
		}
		fmt.Fprintf(&b, "--- +%s %s %s of %s as %s, pid %d, %s\n", c.After.Round(time.Millisecond), c.Command, c.Network, c.ContainerID, c.Interface, c.PID, end)
	}
	return b.String()
}
