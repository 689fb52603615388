// SPDX-License-Identifier: Apache-2.0

// Package add has the faulty daemons, shims and installers that the cases of the
// profile add must catch.
package add

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, brokenMutants, clusterMutants, delegatesMutants, locksMutants, numbersMutants(), rollbackMutants, statusMutants, twiceMutants)
}
