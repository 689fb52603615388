// SPDX-License-Identifier: Apache-2.0

// Package add has the cases of the profile add: the CNI command ADD.
package add

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("add", "ADD", slices.Concat(cases, numbersCases, twiceCases, statusCases)...)
}
