// SPDX-License-Identifier: Apache-2.0

// Package shim has the faulty daemons, shims and installers that the cases of the
// profile shim must catch.
package shim

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(absentMutants, wireMutants, onceMutants)
}
