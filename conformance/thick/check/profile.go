// SPDX-License-Identifier: Apache-2.0

// Package check has the cases of the profile check: the CNI command CHECK.
package check

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("check", "CHECK", slices.Concat(cases, hangsCases)...)
}
