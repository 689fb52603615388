// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"time"
)

// MaxCalls is how many of a failing case's calls a report keeps, the last ones.
const MaxCalls = 200

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
