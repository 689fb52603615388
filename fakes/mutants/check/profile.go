// SPDX-License-Identifier: Apache-2.0

// Package check has the faulty daemons, shims and installers that the cases of the
// profile check must catch.
package check

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, hangsMutants)
}
