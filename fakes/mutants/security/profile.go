// SPDX-License-Identifier: Apache-2.0

// Package security has the faulty daemons, shims and installers that the cases of the
// profile security must catch.
package security

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, delegatesMutants, fairnessMutants, filesMutants, impostorsMutants, largeMutants, namesMutants, pathMutants, portsMutants, processesMutants, recordsMutants, resultsMutants, secretsMutants, textsMutants, traceMutants)
}
