// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// verdict is what is thought of an answer.
type verdict int

const (
	verdictGood verdict = iota
	verdictExcused
	verdictFailed
)

// judge reports whether a request succeeded. One that failed has to have met a
// disturbance of these kinds, or a delegate that was told to fail.
func (s *slot) judge(o outcome, reasons kind, told bool) bool {
	if s.ctx.Err() != nil {
		return false // the run was ended, and this request with it
	}
	if o.ok {
		s.notef("%s succeeds in %.2f s", o.what, time.Since(o.began).Seconds())
		s.count(o.what, verdictGood)
		return true
	}
	s.notef("%s fails in %.2f s: %s", o.what, time.Since(o.began).Seconds(), o.text)
	if !o.late && (s.timeline.since(o.began)&reasons != 0 || told && o.scripted) {
		s.count(o.what, verdictExcused)
		return false
	}
	s.count(o.what, verdictFailed)
	s.violate("%s fails though nothing gave it a reason: %s", o.what, o.text)
	return false
}

// count counts an answer by its command.
func (c *chaos) count(what string, v verdict) {
	what, _, _ = strings.Cut(what, " of hot")
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.report.Requests[what]
	switch v {
	case verdictGood:
		n.Succeeded++
	case verdictExcused:
		n.Excused++
	case verdictFailed:
		n.Failed++
	}
	c.report.Requests[what] = n
}

// storyLines bounds what a violation tells of the daemon's log.
const storyLines = 15

// violate notes a state that must not be, and returns false.
func (s *slot) violate(format string, args ...any) bool {
	s.violatedBy(&past{s.box, s.entered, slices.Clone(s.story)}, format, args...)
	return false
}

// violatedBy notes a violation that is about a sandbox.
func (c *chaos) violatedBy(p *past, format string, args ...any) {
	c.note(Violation{What: fmt.Sprintf(format, args...), Sandbox: p.box.ID, Story: p.story, Log: c.logOf(p.box.ID)}, p.entered)
}

// violated notes a violation that is about no sandbox, since a moment.
func (c *chaos) violated(since time.Time, format string, args ...any) {
	c.note(Violation{What: fmt.Sprintf(format, args...)}, since)
}

// note keeps a violation, and ends the run when there are enough.
func (c *chaos) note(v Violation, since time.Time) {
	v.At, v.Disturbances = time.Since(c.timeline.began).Seconds(), c.timeline.story(since)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.report.Violations) == MaxViolations {
		return
	}
	c.progress("%.2f s: VIOLATION: %s", v.At, v.What)
	c.report.Violations = append(c.report.Violations, v)
	if len(c.report.Violations) == MaxViolations {
		c.stop()
	}
}

// logOf is what the daemons of now and of before have printed about a container
// last.
func (c *chaos) logOf(id string) []string {
	c.mu.Lock()
	daemons := slices.Clone(c.daemons)
	c.mu.Unlock()
	var lines []string
	for _, d := range daemons[max(0, len(daemons)-3):] {
		for line := range strings.SplitSeq(d.Log(), "\n") {
			if strings.Contains(line, id[:12]) {
				lines = append(lines, shortened([]byte(line)))
			}
		}
	}
	return lines[max(0, len(lines)-storyLines):]
}
