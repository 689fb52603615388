// SPDX-License-Identifier: Apache-2.0

// Package del has the cases of the profile del: the CNI command DEL.
package del

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("del", "DEL", slices.Concat(cases, foreignCases, unrecordedCases, alikeCases)...)
}
