// SPDX-License-Identifier: Apache-2.0

// Package report has what a run found, and its renderings. Its types are what
// report.json holds: programs may read them back.
package report

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

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
	// Suite judged, Target was judged.
	Suite  Suite  `json:"suite" jsonschema:"required"`
	Target Target `json:"target" jsonschema:"required"`
	// Implementation says whose the target is, for a report that is published.
	Implementation Implementation `json:"implementation,omitzero"`
	// Selection is what was left out; nil when the whole catalog was judged, as far
	// as it judges this kind of target.
	Selection *Selection `json:"selection,omitempty"`
	// Seed repeats the run's order.
	Seed uint64 `json:"seed"`
	// Slow is by how much all deadlines were multiplied, the requirements' own too,
	// because the machine was slow; absent when they were not.
	Slow    float64          `json:"slow,omitempty"`
	Started time.Time        `json:"started"`
	Seconds float64          `json:"seconds"`
	Summary []ProfileSummary `json:"summary"`
	// Editions count the cases of each edition of a profile.
	Editions []EditionSummary `json:"editions,omitempty"`
	// Waivers are those of the run, and what came of each.
	Waivers []WaiverResult `json:"waivers,omitempty"`
	// Explain returns what is to be known of the requirement with an id, for the page
	// of one that failed; nil for a report that was read.
	Explain func(id string) string `json:"-"`
	// Baseline is the report against which the run was held.
	Baseline *Baseline    `json:"baseline,omitempty"`
	Cases    []CaseResult `json:"cases" jsonschema:"required"`
}

// Suite is the program that judged.
type Suite struct {
	Name    string `json:"name" yaml:"name"`
	Version string `json:"version" yaml:"version" jsonschema:"required"`
}

// Target is what was judged, as its target file and its own answers say.
type Target struct {
	// Name is the target file's, Version what the implementation tells of itself.
	Name    string `json:"name" jsonschema:"required"`
	Version string `json:"version"`
	// Features are those that it declares.
	Features []spec.Feature `json:"features" jsonschema:"nullable"`
	// Undeclared are features that it has by what it answers and does not
	// declare; Unsurveyed is why they could not be found out, "" when they were,
	// or were not looked for.
	Undeclared []spec.Feature `json:"undeclaredFeatures,omitempty"`
	Unsurveyed string         `json:"unsurveyed,omitempty"`
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
	data, err := r.JSON()
	if err != nil {
		return err
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
	files := map[string][]byte{"report.json": data, "report.yaml": published, "report.html": page, "junit.xml": junit}
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
