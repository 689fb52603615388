// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance"
)

// tried is how a trial of a case ended.
func tried(m *mutant, id string, state conformance.State, failure conformance.Failure) trialResult {
	return trialResult{Mutant: m.Name, Kubernetes: m.Kubernetes, CaseResult: conformance.CaseResult{ID: id, State: state, Failure: failure}}
}

// TestVerdict has the same case judged with an API server, where it passes
// without a fault, and without one, where it does not.
func TestVerdict(t *testing.T) {
	g := NewWithT(t)
	withAPI, without := mutant{Name: "with", Cases: []string{"NET-13"}, Kubernetes: true}, mutant{Name: "without", Cases: []string{"NET-13"}}
	none, noneWithAPI := mutant{Name: baseline}, mutant{Name: baseline, Kubernetes: true}
	v := verdictOf([]mutant{withAPI, without}, []trialResult{
		tried(&withAPI, "NET-13", conformance.Failed, conformance.FailedAssertion),
		tried(&without, "NET-13", conformance.Failed, conformance.FailedAssertion),
		tried(&none, "NET-13", conformance.Failed, conformance.FailedAssertion),
		tried(&noneWithAPI, "NET-13", conformance.Passed, ""),
	})
	g.Expect(v.Killed).To(ConsistOf("with"))
	g.Expect(v.Survived).To(HaveExactElements(HaveField("Mutant", "without")))

	v.NotJudged = []survivor{{Mutant: "third", Case: "NET-10", Why: "no API server"}}
	var out strings.Builder
	v.print(&out, false)
	g.Expect(out.String()).To(ContainSubstring("NOT JUDGED third, claimed by NET-10: no API server"))
	g.Expect(out.String()).To(HaveSuffix("3 mutants, 1 killed, 1 survived, 1 NOT JUDGED\n"))
}
