// SPDX-License-Identifier: Apache-2.0

// Package resilience has the cases of the profile resilience: what is lost, and what must not be, when something breaks.
package resilience

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("resilience", "Crashes, reboots, storms, what is away", slices.Concat(cases, awayCases, diskCases, lateStatusCases, leaksCases, nodeConfKeptCases, powerCases, stormCases, straysCases, takeoverCases, unseenCases, unusableCases)...)
}
