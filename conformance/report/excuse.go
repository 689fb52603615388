// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
)

// Excuse says in a sentence why a case gates or does not, where its state and its
// level alone do not say so: "waived until 2027-01-31, …", "its waiver expired on
// 2026-11-25", "it failed in the baseline, too", "it was passed in the baseline".
// It is "" for all others.
func (r *CaseResult) Excuse() string {
	var texts []string
	for _, w := range r.Waivers {
		texts = append(texts, w.excuse(r.State == Waived))
	}
	switch {
	case r.Before == "" || r.State == Waived || r.State == Passed:
	case r.Worse && r.Before == Absent:
		texts = append(texts, "the baseline does not have it")
	case r.Worse && r.Before == r.State:
		texts = append(texts, "it got worse than in the baseline at "+strings.Join(r.failedEditions(), ", "))
	case r.Worse:
		texts = append(texts, fmt.Sprintf("it was %s in the baseline", r.Before))
	case r.State == Failed:
		texts = append(texts, "it failed in the baseline, too")
	}
	return strings.Join(texts, "; ")
}

func (w *Waiver) excuse(excused bool) string {
	at := ""
	if w.Version != "" {
		at = " at " + w.Version
	}
	text := fmt.Sprintf("its waiver%s expired on %s: %s", at, w.Expires, w.Reason)
	if excused {
		text = fmt.Sprintf("waived%s until %s: %s", at, w.Expires, w.Reason)
	}
	if w.Link != "" {
		text += " (" + w.Link + ")"
	}
	return text
}

// failedEditions are the editions at which the case failed.
func (r *CaseResult) failedEditions() []string {
	var all []string
	for _, e := range r.Editions {
		if e.State == Failed {
			all = append(all, e.Edition)
		}
	}
	return all
}
