// SPDX-License-Identifier: Apache-2.0

// Package all lists the profiles of CNI plugins in the order of the contract.
package all

import (
	"github.com/thicket-cni/thicket/conformance/plugin/chain"
	"github.com/thicket-cni/thicket/conformance/plugin/iface"
	"github.com/thicket-cni/thicket/conformance/plugin/ipam"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Profiles returns all profiles of plugins.
func Profiles() []suite.Profile {
	return []suite.Profile{iface.Profile(), ipam.Profile(), chain.Profile()}
}
