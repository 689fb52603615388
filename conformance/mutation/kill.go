// SPDX-License-Identifier: Apache-2.0

package mutation

import "github.com/thicket-cni/thicket/conformance/report"

// Outcome says how a case took to a mutant.
type Outcome string

// The outcomes. Every claim has to have one of the kills. A kill by a deadline
// is weak: on a slow machine it may tell of the machine.
const (
	// Killed means that an assertion of the case failed.
	Killed Outcome = "killed"
	// KilledByDeadline means that the case did not end in time.
	KilledByDeadline Outcome = "deadline"
	// KilledUnserved means that the daemon did not come to serve, which is the
	// fault.
	KilledUnserved Outcome = "unserved"
	// Survived means that the case passed.
	Survived Outcome = "survived"
	// Unnoticed means that the case failed for another reason than the fault: it
	// left something behind, or could not be carried out.
	Unnoticed Outcome = "unnoticed"
	// NotAsked means that the case was skipped or does not apply.
	NotAsked Outcome = "skipped"
	// Sane is how a case should take to the baseline.
	Sane Outcome = "sane"
)

// outcome is how a case took to a mutant. Only a case that failed by itself has
// noticed the fault: one whose daemon did not start, that was skipped, or that
// broke down, has nothing to do with it.
func outcome(m *Mutant, r *report.CaseResult) Outcome {
	switch {
	case r.State == report.Skipped || r.State == report.NotApplicable:
		return NotAsked
	case r.State == report.Passed && m.Name == Baseline:
		return Sane
	case r.State == report.Passed:
		return Survived
	case r.Failure == report.FailedAssertion:
		return Killed
	case r.Failure == report.FailedDeadline:
		return KilledByDeadline
	case r.Failure == report.FailedUnserved && m.Unserved:
		return KilledUnserved
	}
	return Unnoticed
}

// kills reports whether the outcome fulfils a claim.
func (o Outcome) kills() bool { return o == Killed || o == KilledByDeadline || o == KilledUnserved }
