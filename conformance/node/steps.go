// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
)

// maxOutcome is how much of an outcome is kept, in characters.
const maxOutcome = 160

// steps are what a case did, in the order in which it began. Old ones that have
// ended are forgotten.
type steps struct {
	began time.Time
	all   []*report.StepResult
}

// Step notes that the case does something that a failure's report should tell,
// such as a request. The function that it returns notes what came of it; until
// then the step has no end.
func (n *Node) Step(format string, args ...any) (ended func(outcome string)) {
	start := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &report.StepResult{After: start.Sub(n.steps.began), Text: fmt.Sprintf(format, args...)}
	n.steps.all = append(n.steps.forget(), s)
	return func(outcome string) {
		took := time.Since(start)
		n.mu.Lock()
		defer n.mu.Unlock()
		s.Outcome, s.Took = shortened(outcome), &took
	}
}

// forget drops the older half of the steps that have ended when there are many.
func (s *steps) forget() []*report.StepResult {
	if len(s.all) < 10*report.MaxSteps {
		return s.all
	}
	i := 0
	return slices.DeleteFunc(s.all, func(r *report.StepResult) bool {
		i++
		return r.Took != nil && i <= 5*report.MaxSteps
	})
}

func shortened(text string) string {
	r := []rune(strings.Join(strings.Fields(text), " "))
	if len(r) <= maxOutcome {
		return string(r)
	}
	return string(r[:maxOutcome]) + " …"
}

// Steps returns the case's last steps and those that have no end, and how long
// it has been going on.
func (n *Node) Steps() ([]report.StepResult, time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var kept []report.StepResult
	late := len(n.steps.all) - report.MaxSteps
	for i, s := range n.steps.all {
		if i >= late || s.Took == nil && len(kept) < report.MaxSteps {
			kept = append(kept, *s)
		}
	}
	return kept, time.Since(n.steps.began)
}
