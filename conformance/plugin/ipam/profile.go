// SPDX-License-Identifier: Apache-2.0

// Package ipam has the cases of the profile ipam: plugins that interface plugins
// delegate to, and that give away addresses.
package ipam

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return plugin.NewProfile("ipam", "IPAM plugins", plugin.Kind{Roles: []plugin.Role{plugin.RoleIPAM}, Open: plugin.Open},
		slices.Concat(resultCases, distinctCases, delCases, damageCases, addCases, statusCases, checkCases, gcCases, requestCases, killCases)...)
}
