// SPDX-License-Identifier: Apache-2.0

package mutation

import (
	"context"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// catalog has three cases of one profile.
func catalog(t *testing.T) *suite.Catalog {
	t.Helper()
	p := suite.Profile{Name: "tiny", Title: "Tiny"}
	for _, id := range []string{"NET-13", "NET-14", "NET-15"} {
		p.Cases = append(p.Cases, suite.Case{Requirement: spec.Requirement{ID: id, Level: spec.Must, Title: id, Source: "test"},
			Body: func(context.Context, *suite.T) {}})
	}
	c, err := suite.NewCatalog(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// judge judges mutants as told: by mutant, whether there is an API server, and
// case.
func judge(t *testing.T, unclaimed bool, results map[string]report.CaseResult, mutants ...Mutant) *Verdict {
	t.Helper()
	v, err := Judge(t.Context(), mutants, Options{Catalog: catalog(t), Unclaimed: unclaimed, Parallel: 1,
		Try: func(_ context.Context, m *Mutant, id string) (*report.CaseResult, error) {
			key := m.Name + " " + id
			if m.Name == Baseline && m.Kubernetes {
				key = "none+api " + id
			}
			r := results[key]
			r.ID = id
			return &r, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var (
	passed   = report.CaseResult{State: report.Passed}
	asserted = report.CaseResult{State: report.Failed, Failure: report.FailedAssertion}
	late     = report.CaseResult{State: report.Failed, Failure: report.FailedDeadline}
	broken   = report.CaseResult{State: report.Failed, Failure: report.FailedSuite, Reason: "no result"}
	left     = report.CaseResult{State: report.Failed, Failure: report.FailedLeftovers}
)

// TestBaselineDecides has the same case judged with an API server, where it
// passes without a fault, and without one, where it does not.
func TestBaselineDecides(t *testing.T) {
	g := NewWithT(t)
	v := judge(t, false, map[string]report.CaseResult{
		"with NET-13": asserted, "without NET-13": asserted, "none NET-13": asserted, "none+api NET-13": passed,
	}, Mutant{Name: "with", Cases: []string{"NET-13"}, Kubernetes: true}, Mutant{Name: "without", Cases: []string{"NET-13"}})
	g.Expect(v.Killed).To(ConsistOf("with"))
	g.Expect(v.Survived).To(HaveExactElements(HaveField("Mutant", "without")))

	v.NotJudged = []Survivor{{Mutant: "third", Case: "NET-10", Why: "no API server"}}
	var out strings.Builder
	v.Print(&out, false)
	g.Expect(out.String()).To(ContainSubstring("NOT JUDGED third, claimed by NET-10: no API server"))
	g.Expect(out.String()).To(HaveSuffix("3 mutants, 1 killed, 1 survived, 1 NOT JUDGED\n"))
}

// TestAgain has a fault noticed at the second try, and a baseline that fails at
// the first: both are told.
func TestAgain(t *testing.T) {
	g := NewWithT(t)
	tries := map[string]int{}
	ends := map[string][]report.CaseResult{
		"race NET-13": {passed, asserted}, "none NET-13": {late, passed}, "blind NET-13": {passed, passed},
	}
	v, err := Judge(t.Context(), []Mutant{{Name: "race", Cases: []string{"NET-13"}}, {Name: "blind", Cases: []string{"NET-13"}}}, Options{
		Catalog: catalog(t), Parallel: 1, Again: 1,
		Try: func(_ context.Context, m *Mutant, id string) (*report.CaseResult, error) {
			key := m.Name + " " + id
			r := ends[key][tries[key]]
			tries[key]++
			r.ID = id
			return &r, nil
		}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(v.Killed).To(ConsistOf("race"))
	g.Expect(v.Survived).To(HaveExactElements(HaveField("Mutant", "blind")))
	var out strings.Builder
	v.Print(&out, false)
	g.Expect(out.String()).To(ContainSubstring("AT TRY 2 ONLY: NET-13 against race killed; at first it passed"))
	g.Expect(out.String()).To(ContainSubstring("AT TRY 2 ONLY: NET-13 against none sane; at first it failed"))
}

// TestOnlyTheCaseItselfKills tells the ways in which a case can fail apart.
func TestOnlyTheCaseItselfKills(t *testing.T) {
	g := NewWithT(t)
	results := map[string]report.CaseResult{"none NET-13": passed, "none NET-14": passed, "none NET-15": passed}
	var mutants []Mutant
	for name, r := range map[string]report.CaseResult{"asserted": asserted, "late": late, "broken": broken, "left": left, "passes": passed} {
		results[name+" NET-13"] = r
		mutants = append(mutants, Mutant{Name: name, Cases: []string{"NET-13"}})
	}
	results["asserted NET-14"], results["asserted NET-15"] = asserted, passed
	v := judge(t, true, results, mutants...)
	g.Expect(v.Killed).To(ConsistOf("asserted", "late"))
	g.Expect(v.Weak).To(ConsistOf("late"))
	g.Expect(v.Survived).To(ConsistOf(HaveField("Mutant", "broken"), HaveField("Mutant", "left"), HaveField("Mutant", "passes")))
	var out strings.Builder
	v.Print(&out, false)
	g.Expect(out.String()).To(ContainSubstring("asserted fails unclaimed too: NET-14\n"))
	g.Expect(out.String()).To(ContainSubstring("killed by a deadline, which a slow machine might do too: late\n"))
}

// TestPoorHeadlines counts the kills that do not say what is wrong.
func TestPoorHeadlines(t *testing.T) {
	g := NewWithT(t)
	results := map[string]report.CaseResult{"none NET-13": passed}
	var mutants []Mutant
	for name, reason := range map[string]string{
		"good": "calls of delegates: expected 1 to equal 2\n  Expected\n  <int>: 1", "bool": "Expected\n    <bool>: false\nto be true",
		"late": "Timed out after 1.000s.", "lost": "ADD on /cni: EOF", "node": "A node timeout occurred",
	} {
		results[name+" NET-13"] = report.CaseResult{State: report.Failed, Failure: report.FailedAssertion, Reason: reason}
		mutants = append(mutants, Mutant{Name: name, Cases: []string{"NET-13"}})
	}
	results["unworded NET-13"] = report.CaseResult{State: report.Failed, Failure: report.FailedAssertion, Reason: "fine", Unworded: true}
	mutants = append(mutants, Mutant{Name: "unworded", Cases: []string{"NET-13"}})
	v := judge(t, false, results, mutants...)
	var names []string
	for _, p := range v.Poor {
		names = append(names, p.Mutant)
	}
	g.Expect(names).To(ConsistOf("bool", "late", "lost", "node", "unworded"))
	var out strings.Builder
	v.Print(&out, false)
	g.Expect(out.String()).To(ContainSubstring("NET-13 against lost: ADD on /cni: EOF\n"))
}
