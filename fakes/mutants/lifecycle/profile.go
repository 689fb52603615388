// SPDX-License-Identifier: Apache-2.0

// Package lifecycle has the faulty daemons, shims and installers that the cases of the
// profile lifecycle must catch.
package lifecycle

import (
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
)

// Mutants returns the mutants of the profile.
func Mutants() []mutant.Mutant {
	return slices.Concat(gcDelegatesMutants, gcErrorsMutants, gcMutants, gcUnrecordedMutants, readyMutants, statusMutants)
}
