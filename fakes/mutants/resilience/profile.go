// SPDX-License-Identifier: Apache-2.0

// Package resilience has the faulty daemons, shims and installers that the cases of the
// profile resilience must catch.
package resilience

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, apiAwayMutants, lateStatusMutants, nodeConfKeptMutants, nodeMutants, powerMutants, stormMutants, straysMutants, takeoverMutants, unseenMutants, unusableMutants)
}
