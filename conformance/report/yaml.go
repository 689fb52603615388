// SPDX-License-Identifier: Apache-2.0

package report

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"

	"go.yaml.in/yaml/v3"
)

// publishedReport is report.yaml: what an implementation publishes to show
// that it conforms, after the ConformanceReport of Gateway API.
type publishedReport struct {
	APIVersion     string             `yaml:"apiVersion"`
	Kind           string             `yaml:"kind"`
	Date           string             `yaml:"date"`
	Suite          publishedName      `yaml:"suite"`
	Seed           uint64             `yaml:"seed"`
	Implementation publishedName      `yaml:"implementation"`
	Features       []spec.Feature     `yaml:"supportedFeatures"`
	Profiles       []publishedProfile `yaml:"profiles"`
}

type publishedName struct {
	Name    string `yaml:"name"`
	Version string `yaml:"version"`
}

type publishedProfile struct {
	Name   string         `yaml:"name"`
	Must   publishedLevel `yaml:"must"`
	Should publishedLevel `yaml:"should"`
}

// publishedLevel counts the cases of a level and names those that did not pass.
type publishedLevel struct {
	Result             string   `yaml:"result"`
	Passed             int      `yaml:"passed"`
	Failed             int      `yaml:"failed"`
	Skipped            int      `yaml:"skipped"`
	NotApplicable      int      `yaml:"notApplicable"`
	FailedCases        []string `yaml:"failedCases,omitempty"`
	SkippedCases       []string `yaml:"skippedCases,omitempty"`
	NotApplicableCases []string `yaml:"notApplicableCases,omitempty"`
}

// yaml renders the report in the form to publish.
func (r *Report) yaml() ([]byte, error) {
	p := publishedReport{
		APIVersion: "conformance.thicket-cni.io/v1alpha1", Kind: "ConformanceReport", Date: r.Started.Format(time.RFC3339),
		Suite: publishedName(r.Suite), Seed: r.Seed, Implementation: publishedName{r.Target.Name, r.Target.Version}, Features: r.Target.Features,
	}
	for _, s := range r.Summary {
		p.Profiles = append(p.Profiles, publishedProfile{Name: s.Profile, Must: r.publish(s.Profile, spec.Must, s.Must), Should: r.publish(s.Profile, spec.Should, s.Should)})
	}
	return yaml.Marshal(p)
}

// publish is one level of a profile. Its result is "partial" when nothing
// failed and something was skipped: a skipped case is never counted as passed.
// A case that does not apply changes nothing.
func (r *Report) publish(profile string, level spec.Level, n Count) publishedLevel {
	l := publishedLevel{Result: "success", Passed: n.Passed, Failed: n.Failed, Skipped: n.Skipped, NotApplicable: n.NotApplicable}
	switch {
	case n.Failed > 0:
		l.Result = "failure"
	case n.Skipped > 0:
		l.Result = "partial"
	case n.Passed == 0:
		l.Result = "none"
	}
	for _, c := range r.Cases {
		switch {
		case c.Profile != profile || c.Level != level:
		case c.State == Failed:
			l.FailedCases = append(l.FailedCases, c.ID)
		case c.State == Skipped:
			l.SkippedCases = append(l.SkippedCases, c.ID)
		case c.State == NotApplicable:
			l.NotApplicableCases = append(l.NotApplicableCases, c.ID)
		}
	}
	return l
}
