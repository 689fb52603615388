// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"time"

	"sigs.k8s.io/yaml"
)

// ReportKind is the kind of report.yaml, of TargetAPIVersion.
const ReportKind = "ConformanceReport"

// publishedReport is what an implementation publishes of itself: the outcome,
// without logs. Its form follows that of Gateway API's conformance reports.
type publishedReport struct {
	APIVersion     string `json:"apiVersion"`
	Kind           string `json:"kind"`
	Implementation struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
	} `json:"implementation"`
	SuiteVersion      string             `json:"suiteVersion"`
	Date              time.Time          `json:"date"`
	Seed              uint64             `json:"seed"`
	SupportedFeatures []Feature          `json:"supportedFeatures"`
	Profiles          []publishedProfile `json:"profiles"`
}

type publishedProfile struct {
	Name string `json:"name"`
	// Result is success when no MUST failed and at least one passed, partial
	// when a MUST was skipped, failure when one failed, and none when nothing of
	// the profile was executed.
	Result string         `json:"result"`
	Must   publishedCount `json:"must"`
	Should publishedCount `json:"should"`
}

type publishedCount struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	// FailedCases and SkippedCases are their ids.
	FailedCases  []string `json:"failedCases,omitempty"`
	SkippedCases []string `json:"skippedCases,omitempty"`
}

func countOf(n Count) publishedCount {
	return publishedCount{Passed: n.Passed, Failed: n.Failed, Skipped: n.Skipped}
}

// YAML renders the report as a ConformanceReport.
func (r *Report) YAML() ([]byte, error) {
	p := publishedReport{APIVersion: TargetAPIVersion, Kind: ReportKind, SuiteVersion: r.Suite.Version, Date: r.Started, Seed: r.Seed,
		SupportedFeatures: r.Target.Features}
	p.Implementation.Name, p.Implementation.Version = r.Target.Name, r.Target.Version
	for _, s := range r.Summary {
		profile := publishedProfile{Name: s.Profile, Result: resultOf(s), Must: countOf(s.Must), Should: countOf(s.Should)}
		for _, c := range r.Cases {
			if c.Profile != s.Profile {
				continue
			}
			counts := &profile.Must
			if c.Level == Should {
				counts = &profile.Should
			}
			switch c.State {
			case Failed:
				counts.FailedCases = append(counts.FailedCases, c.ID)
			case Skipped:
				counts.SkippedCases = append(counts.SkippedCases, c.ID)
			case Passed:
			}
		}
		p.Profiles = append(p.Profiles, profile)
	}
	return yaml.Marshal(p)
}

func resultOf(s ProfileSummary) string {
	switch {
	case s.Must.Failed > 0:
		return "failure"
	case s.Must.Passed == 0:
		return "none"
	case s.Must.Skipped > 0:
		return "partial"
	}
	return "success"
}
