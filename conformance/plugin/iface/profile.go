// SPDX-License-Identifier: Apache-2.0

// Package iface has the cases of the profile plugin: interface plugins, which
// make a network interface in a container.
package iface

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return plugin.NewProfile("plugin", "CNI plugins that make an interface",
		plugin.Kind{Roles: []plugin.Role{plugin.RoleInterface, plugin.RoleMeta}, Open: plugin.Open},
		slices.Concat(versionCases, outputCases, inputCases, resultCases, refusedCases, delCases, checkCases,
			delegatedCases, killedCases, statusCases, concurrentCases, fieldCases)...)
}
