// SPDX-License-Identifier: Apache-2.0

// Package multinet has the faulty daemons, shims and installers that the cases of the
// profile multinet must catch.
package multinet

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, definitionsMutants, delegatesMutants, devicesMutants(), familiesMutants, interfacesMutants, invalidMutants(), kubernetesMutants, multusMutants, nodeMutants, requestsMutants(), runtimeconfigMutants(), selectionsMutants, undeclaredMutants())
}
