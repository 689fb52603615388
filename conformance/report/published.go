// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"

	"go.yaml.in/yaml/v3"
)

// PublishedKind heads a report.yaml.
const PublishedKind = "ConformanceReport"

// Published is report.yaml: what an implementation publishes to show that it
// conforms, after the ConformanceReport of Gateway API. Readers pass over keys
// that they do not know; a form that they would misread has another APIVersion.
type Published struct {
	// APIVersion is always conformance.thicket-cni.io/v1alpha1.
	APIVersion string `yaml:"apiVersion" json:"apiVersion" jsonschema:"required,enum=conformance.thicket-cni.io/v1alpha1"`
	// Kind is always ConformanceReport.
	Kind string `yaml:"kind" json:"kind" jsonschema:"required,enum=ConformanceReport"`
	// Date is when the run began, as RFC 3339 has it.
	Date string `yaml:"date" json:"date" jsonschema:"required,format=date-time"`
	// Suite judged.
	Suite Suite `yaml:"suite" json:"suite" jsonschema:"required"`
	// Seed repeats the order of the cases.
	Seed uint64 `yaml:"seed" json:"seed"`
	// Slow is by how much all deadlines were multiplied, the requirements' own too,
	// because the machine was slow; absent when they were not.
	Slow float64 `yaml:"slow,omitempty" json:"slow,omitempty"`
	// Implementation was judged.
	Implementation PublishedImplementation `yaml:"implementation" json:"implementation" jsonschema:"required"`
	// Features are those that the implementation declares; UndeclaredFeatures are
	// those that it has and does not declare, where that was looked for.
	Features           []spec.Feature `yaml:"supportedFeatures" json:"supportedFeatures" jsonschema:"required,nullable"`
	UndeclaredFeatures []spec.Feature `yaml:"undeclaredFeatures,omitempty" json:"undeclaredFeatures,omitempty"`
	// Selection is what was left out. Without it the report is of the whole catalog.
	Selection *Selection `yaml:"selection,omitempty" json:"selection,omitempty"`
	// Profiles are the results.
	Profiles []PublishedProfile `yaml:"profiles" json:"profiles" jsonschema:"required"`
	// Waivers are the failures that were excused, or were to be.
	Waivers []WaiverResult `yaml:"waivers,omitempty" json:"waivers,omitempty"`
	// Baseline is the report against which the run was held.
	Baseline *Baseline `yaml:"baseline,omitempty" json:"baseline,omitempty"`
}

// PublishedImplementation is what was judged.
type PublishedImplementation struct {
	// Name is the target's.
	Name string `yaml:"name" json:"name" jsonschema:"required"`
	// Version is what was judged; "" when neither the target nor anybody else told.
	Version   string `yaml:"version" json:"version" jsonschema:"required"`
	Publisher `yaml:",inline"`
}

// PublishedProfile is the result of one profile.
type PublishedProfile struct {
	Name   string         `yaml:"name" json:"name" jsonschema:"required"`
	Must   PublishedLevel `yaml:"must" json:"must" jsonschema:"required"`
	Should PublishedLevel `yaml:"should" json:"should" jsonschema:"required"`
	// Versions are the results by each version of CNI, of a profile that is judged by
	// each.
	Versions []PublishedVersion `yaml:"versions,omitempty" json:"versions,omitempty"`
}

// PublishedVersion is the result of one profile at one version of CNI.
type PublishedVersion struct {
	// Version is of CNI, such as 1.0.0.
	Version string         `yaml:"version" json:"version" jsonschema:"required"`
	Must    PublishedLevel `yaml:"must" json:"must" jsonschema:"required"`
	Should  PublishedLevel `yaml:"should" json:"should" jsonschema:"required"`
}

// Result is the result of a level of a profile.
type Result string

// The results. A skipped case is never counted as passed, and neither is a waived
// one. A case that does not apply changes nothing.
const (
	// ResultSuccess means that all passed.
	ResultSuccess Result = "success"
	// ResultPartial means that nothing failed, and that something was skipped.
	ResultPartial Result = "partial"
	// ResultWaived means that nothing failed but what is waived.
	ResultWaived Result = "waived"
	// ResultFailure means that something failed.
	ResultFailure Result = "failure"
	// ResultNone means that nothing was judged.
	ResultNone Result = "none"
)

// PublishedLevel counts the cases of a level and names those that did not pass.
type PublishedLevel struct {
	Result             Result   `yaml:"result" json:"result" jsonschema:"required,enum=success,enum=partial,enum=waived,enum=failure,enum=none"`
	Passed             int      `yaml:"passed" json:"passed" jsonschema:"required"`
	Failed             int      `yaml:"failed" json:"failed" jsonschema:"required"`
	Waived             int      `yaml:"waived" json:"waived"`
	Skipped            int      `yaml:"skipped" json:"skipped" jsonschema:"required"`
	NotApplicable      int      `yaml:"notApplicable" json:"notApplicable" jsonschema:"required"`
	FailedCases        []string `yaml:"failedCases,omitempty" json:"failedCases,omitempty"`
	WaivedCases        []string `yaml:"waivedCases,omitempty" json:"waivedCases,omitempty"`
	SkippedCases       []string `yaml:"skippedCases,omitempty" json:"skippedCases,omitempty"`
	NotApplicableCases []string `yaml:"notApplicableCases,omitempty" json:"notApplicableCases,omitempty"`
}

// Publish makes the form to publish.
func (r *Report) Publish() *Published {
	p := &Published{
		APIVersion: APIVersion, Kind: PublishedKind, Date: r.Started.Format(time.RFC3339), Suite: r.Suite, Seed: r.Seed, Slow: r.Slow,
		Implementation: PublishedImplementation{r.Target.Name, r.Version(), r.Implementation.Publisher}, Features: r.Target.Features,
		UndeclaredFeatures: r.Target.Undeclared, Selection: r.Selection, Waivers: r.Waivers, Baseline: r.Baseline,
	}
	for _, s := range r.Summary {
		profile := PublishedProfile{Name: s.Profile, Must: r.publish(s.Profile, "", spec.Must), Should: r.publish(s.Profile, "", spec.Should)}
		for _, e := range r.EditionsOf(s.Profile) {
			profile.Versions = append(profile.Versions, PublishedVersion{e.Edition, r.publish(s.Profile, e.Edition, spec.Must), r.publish(s.Profile, e.Edition, spec.Should)})
		}
		p.Profiles = append(p.Profiles, profile)
	}
	return p
}

// yaml renders the form to publish.
func (r *Report) yaml() ([]byte, error) { return yaml.Marshal(r.Publish()) }

// publish is one level of a profile, at one edition or, when that is empty, as a
// whole.
func (r *Report) publish(profile, edition string, level spec.Level) PublishedLevel {
	var l PublishedLevel
	var n Count
	for _, c := range r.CasesOf(profile) {
		state := c.stateAt(edition)
		if c.Level != level || state == Absent {
			continue
		}
		n.Add(state)
		switch state {
		case Failed:
			l.FailedCases = append(l.FailedCases, c.ID)
		case Waived:
			l.WaivedCases = append(l.WaivedCases, c.ID)
		case Skipped:
			l.SkippedCases = append(l.SkippedCases, c.ID)
		case NotApplicable:
			l.NotApplicableCases = append(l.NotApplicableCases, c.ID)
		}
	}
	l.Passed, l.Failed, l.Waived, l.Skipped, l.NotApplicable, l.Result = n.Passed, n.Failed, n.Waived, n.Skipped, n.NotApplicable, n.Result()
	return l
}

// Result is the result of the cases that are counted.
func (c Count) Result() Result {
	switch {
	case c.Failed > 0:
		return ResultFailure
	case c.Waived > 0:
		return ResultWaived
	case c.Skipped > 0:
		return ResultPartial
	case c.Passed == 0:
		return ResultNone
	}
	return ResultSuccess
}

// stateAt is the state of a case at one edition. A case without editions has its
// own state at each; one that is not judged at this one is absent.
func (r *CaseResult) stateAt(edition string) State {
	if edition == "" || len(r.Editions) == 0 {
		return r.State
	}
	if i := slices.IndexFunc(r.Editions, func(e EditionResult) bool { return e.Edition == edition }); i >= 0 {
		return r.Editions[i].State
	}
	return Absent
}
