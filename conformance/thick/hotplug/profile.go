// SPDX-License-Identifier: Apache-2.0

// Package hotplug has the cases of the profile hotplug: networks that are attached to, and detached from, a running sandbox.
package hotplug

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("hotplug", "Hot-plug by /delegate", slices.Concat(cases(), killedCases, statusCases, overlapCases, reconcileCases)...)
}
