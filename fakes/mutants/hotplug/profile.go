// SPDX-License-Identifier: Apache-2.0

// Package hotplug has the faulty daemons, shims and installers that the cases of the
// profile hotplug must catch.
package hotplug

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, killedMutants, refusedMutants, sandboxMutants, timeMutants, overlapMutants, reconcileMutants)
}
