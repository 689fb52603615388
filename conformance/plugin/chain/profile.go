// SPDX-License-Identifier: Apache-2.0

// Package chain has the cases of the profile chain: plugins that are executed
// behind another one and change what that one made.
package chain

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// variantIdle is a configuration with nothing to do for the plugin.
const variantIdle = "idle"

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return plugin.NewProfile("chain", "CNI plugins behind another one",
		plugin.Kind{Roles: []plugin.Role{plugin.RoleChained, plugin.RoleMeta}, Behind: true, Open: plugin.Open},
		slices.Concat(resultCases, addCases, delCases, againCases, checkCases, othersCases, onceCases, gcCases)...)
}
