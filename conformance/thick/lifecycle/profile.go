// SPDX-License-Identifier: Apache-2.0

// Package lifecycle has the cases of the profile lifecycle: the CNI commands GC and STATUS.
package lifecycle

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("lifecycle", "GC and STATUS", slices.Concat(cases(), readyCases, gcUnrecordedCases)...)
}
