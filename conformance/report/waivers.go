// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/thicket-cni/thicket/conformance/strict"
)

// APIVersion and WaiversKind head a waivers file.
const (
	APIVersion  = "conformance.thicket-cni.io/v1alpha1"
	WaiversKind = "Waivers"
)

// Waivers is a waivers file: the failures of an implementation that are known, and
// do not gate until a day.
type Waivers struct {
	// APIVersion is always conformance.thicket-cni.io/v1alpha1.
	APIVersion string `yaml:"apiVersion" json:"apiVersion" jsonschema:"required,enum=conformance.thicket-cni.io/v1alpha1"`
	// Kind is always Waivers.
	Kind string `yaml:"kind" json:"kind" jsonschema:"required,enum=Waivers"`
	// Waivers are the failures.
	Waivers []Waiver `yaml:"waivers" json:"waivers" jsonschema:"required"`

	source string
	lines  []int
}

// Waiver excuses the failure of one case.
type Waiver struct {
	// ID is the case's, such as SOCK-04.
	ID string `yaml:"id" json:"id" jsonschema:"required,pattern=^[A-Z]+-[0-9]+$"`
	// Profile is the case's profile. It may be left out; a wrong one is an error.
	Profile string `yaml:"profile,omitempty" json:"profile,omitempty"`
	// Version excuses the failure at one version of CNI, such as 0.4.0, of a case that
	// is judged by each; empty excuses all of them.
	Version string `yaml:"version,omitempty" json:"version,omitempty"`
	// Reason says why the failure is accepted for now.
	Reason string `yaml:"reason" json:"reason" jsonschema:"required"`
	// Link is where the failure is being dealt with, such as an issue.
	Link string `yaml:"link,omitempty" json:"link,omitempty" jsonschema:"format=uri"`
	// Expires is the last day, in UTC, on which the failure is excused: 2027-01-31.
	Expires string `yaml:"expires" json:"expires" jsonschema:"required,format=date"`
}

// Expired reports whether a day is after the waiver's last one.
func (w *Waiver) Expired(day time.Time) bool { return day.UTC().Format(time.DateOnly) > w.Expires }

// WaiverOutcome is what came of a waiver in a run.
type WaiverOutcome string

// The outcomes of a waiver.
const (
	// WaiverUsed means that it excused a failure.
	WaiverUsed WaiverOutcome = "used"
	// WaiverExpired means that the case fails, and the waiver's last day is over: the
	// failure counts.
	WaiverExpired WaiverOutcome = "expired"
	// WaiverUnneeded means that the case passes: the waiver is to be removed.
	WaiverUnneeded WaiverOutcome = "unneeded"
	// WaiverNotJudged means that the case was not selected, was skipped, or does not
	// apply.
	WaiverNotJudged WaiverOutcome = "not-judged"
)

// WaiverResult is a waiver, and what came of it.
type WaiverResult struct {
	Waiver  `yaml:",inline"`
	Outcome WaiverOutcome `json:"outcome" yaml:"outcome"`
}

// ReadKnown reads a waivers file and an earlier report, each unless its path is
// empty.
func ReadKnown(waivers, baseline string) (known *Waivers, before *Report, err error) {
	if waivers != "" {
		if known, err = ReadWaivers(waivers); err != nil {
			return nil, nil, err
		}
	}
	if baseline != "" {
		before, err = ReadReport(baseline)
	}
	return known, before, err
}

// ReadWaivers reads a waivers file. An error names the file, and the line at
// fault.
func ReadWaivers(path string) (*Waivers, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("waivers: %w", err)
	}
	return ParseWaivers(data, path)
}

// ParseWaivers is ReadWaivers for a file's content. source is what errors call it.
func ParseWaivers(data []byte, source string) (*Waivers, error) {
	w := &Waivers{source: source}
	if err := strict.Decode(data, w); err != nil {
		return nil, fmt.Errorf("waivers %s: %w", source, err)
	}
	if w.APIVersion != APIVersion || w.Kind != WaiversKind {
		return nil, fmt.Errorf("waivers %s: want apiVersion %s and kind %s", source, APIVersion, WaiversKind)
	}
	w.lines = linesOf(data)
	for i := range w.Waivers {
		if err := w.Waivers[i].validate(w.Waivers[:i]); err != nil {
			return nil, w.Wrong(i, err)
		}
	}
	return w, nil
}

// linesOf are the lines at which the waivers of a file begin.
func linesOf(data []byte) (lines []int) {
	var positions struct {
		Waivers []yaml.Node `yaml:"waivers"`
	}
	_ = yaml.Unmarshal(data, &positions) // it was decoded already
	for _, n := range positions.Waivers {
		lines = append(lines, n.Line)
	}
	return lines
}

// Wrong adds to an error where in its file the waiver stands that is at fault.
func (w *Waivers) Wrong(i int, err error) error {
	if i < len(w.lines) {
		return fmt.Errorf("waivers %s: line %d: %w", w.source, w.lines[i], err)
	}
	return fmt.Errorf("waivers %s: waivers[%d]: %w", w.source, i, err)
}

func (w *Waiver) validate(before []Waiver) error {
	switch _, err := time.Parse(time.DateOnly, w.Expires); {
	case w.ID == "":
		return errors.New("id is missing: the case whose failure is excused")
	case w.Reason == "":
		return fmt.Errorf("%s: reason is missing", w.ID)
	case w.Expires == "":
		return fmt.Errorf("%s: expires is missing: the last day on which the failure is excused, such as 2027-01-31", w.ID)
	case err != nil:
		return fmt.Errorf("%s: expires: %q is not a day such as 2027-01-31", w.ID, w.Expires)
	case slices.ContainsFunc(before, func(b Waiver) bool {
		return b.ID == w.ID && (b.Version == w.Version || b.Version == "" || w.Version == "")
	}):
		return fmt.Errorf("%s is waived twice", w.ID)
	}
	if link, err := url.Parse(w.Link); err != nil || w.Link != "" && link.Scheme == "" {
		return fmt.Errorf("%s: link: %q is not an address such as https://github.com/you/project/issues/1", w.ID, w.Link)
	}
	return nil
}

// Apply excuses a case that failed, where a waiver says so on that day: its state
// becomes Waived. Of a case with editions each that failed has to be excused. The
// waivers of the case that have expired are in its Waivers, too.
func (w *Waivers) Apply(c *CaseResult, day time.Time) {
	if c.State != Failed {
		return
	}
	whole := false
	for _, waiver := range w.Waivers {
		if waiver.ID != c.ID || !waiver.concerns(c) {
			continue
		}
		c.Waivers = append(c.Waivers, waiver)
		if waiver.Expired(day) {
			continue
		}
		whole = whole || waiver.Version == ""
		for i := range c.Editions {
			if e := &c.Editions[i]; e.State == Failed && (waiver.Version == "" || waiver.Version == e.Edition) {
				e.State = Waived
			}
		}
	}
	failed := slices.ContainsFunc(c.Editions, func(e EditionResult) bool { return e.State == Failed })
	if whole || len(c.Editions) > 0 && !failed {
		c.State = Waived
	}
}

// concerns reports whether a waiver is about something that failed in its case.
func (w *Waiver) concerns(c *CaseResult) bool {
	return w.Version == "" || slices.ContainsFunc(c.Editions, func(e EditionResult) bool {
		return e.Edition == w.Version && (e.State == Failed || e.State == Waived)
	})
}

// Outcomes says what came of each waiver in a run.
func (w *Waivers) Outcomes(r *Report, day time.Time) []WaiverResult {
	var all []WaiverResult
	for _, waiver := range w.Waivers {
		outcome := WaiverNotJudged
		for i := range r.Cases {
			if r.Cases[i].ID == waiver.ID {
				outcome = waiver.outcome(&r.Cases[i], day)
			}
		}
		all = append(all, WaiverResult{waiver, outcome})
	}
	return all
}

// outcome is what came of a waiver in its case, after Apply.
func (w *Waiver) outcome(c *CaseResult, day time.Time) WaiverOutcome {
	state := c.State
	if w.Version != "" {
		state = Skipped // not judged at this version
		for _, e := range c.Editions {
			if e.Edition == w.Version {
				state = e.State
			}
		}
	}
	switch {
	case state == Passed:
		return WaiverUnneeded
	case state != Failed && state != Waived:
		return WaiverNotJudged
	case w.Expired(day):
		return WaiverExpired
	}
	return WaiverUsed
}
