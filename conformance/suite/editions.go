// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"strings"

	"github.com/thicket-cni/thicket/conformance/report"
)

// judgeEditions judges a case by each of its editions, and makes one result of
// theirs.
func (s *session) judgeEditions(ctx context.Context, c *Case, result report.CaseResult) report.CaseResult {
	editions, reason := c.Editions(s.Subject)
	if len(editions) == 0 {
		result.State, result.Reason = report.NotApplicable, reason
		return result
	}
	var all []report.CaseResult
	for _, edition := range editions {
		all = append(all, s.judgeOnce(ctx, c, edition, result))
	}
	return merge(editions, all)
}

// merge makes one result of those of a case's editions. One that failed decides;
// else one that passed does. The first failure's story is kept.
func merge(editions []string, all []report.CaseResult) report.CaseResult {
	decisive := 0
	for i, r := range all {
		if rank(r.State) > rank(all[decisive].State) {
			decisive = i
		}
	}
	merged := all[decisive]
	merged.Seconds, merged.CPUSeconds, merged.Notes, merged.Editions = 0, 0, nil, nil
	var same []string
	for i, r := range all {
		merged.Seconds += r.Seconds
		merged.CPUSeconds += r.CPUSeconds
		merged.Editions = append(merged.Editions, report.EditionResult{Edition: editions[i], State: r.State, Reason: r.Reason})
		for _, note := range r.Notes {
			merged.Notes = append(merged.Notes, editions[i]+": "+note)
		}
		if r.State == merged.State {
			same = append(same, editions[i])
		}
	}
	switch {
	case merged.State == report.Failed:
		headline, rest, _ := strings.Cut(merged.Reason, "\n")
		merged.Reason = strings.TrimSpace(fmt.Sprintf("%s (at %s, seen first at %s)\n%s", headline, strings.Join(same, ", "), editions[decisive], rest))
	case merged.State == report.Skipped && len(editions) > 1:
		merged.Reason = "at " + editions[decisive] + ": " + merged.Reason
	}
	return merged
}

// rank says how much a state decides of the whole.
func rank(s report.State) int {
	switch s {
	case report.Failed:
		return 3
	case report.Passed:
		return 2
	case report.Skipped:
		return 1
	default:
		return 0
	}
}
