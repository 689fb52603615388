// SPDX-License-Identifier: Apache-2.0

// Package ready has the faulty daemons, shims and installers that the cases of the
// profile ready must catch.
package ready

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(mutants, clientMutants)
}
