// SPDX-License-Identifier: Apache-2.0

// Package cases has the cases of the profile runtime: what a program that
// executes CNI plugins owes them.
package cases

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return runtime.NewProfile(slices.Concat(addCases, refusedCases, environmentCases, fieldCases, capabilityCases, versionCases, lifecycleCases,
		delCases, namespaceCases, checkCases, alongsideCases, gcCases, statusCases, oddCases, folderCases)...)
}
