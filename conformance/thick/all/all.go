// SPDX-License-Identifier: Apache-2.0

// Package all lists the profiles of thick plugins in the order of the contract.
package all

import (
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick/add"
	"github.com/thicket-cni/thicket/conformance/thick/check"
	"github.com/thicket-cni/thicket/conformance/thick/del"
	"github.com/thicket-cni/thicket/conformance/thick/endpoint"
	"github.com/thicket-cni/thicket/conformance/thick/hotplug"
	"github.com/thicket-cni/thicket/conformance/thick/lifecycle"
	"github.com/thicket-cni/thicket/conformance/thick/multinet"
	"github.com/thicket-cni/thicket/conformance/thick/ready"
	"github.com/thicket-cni/thicket/conformance/thick/resilience"
	"github.com/thicket-cni/thicket/conformance/thick/security"
	"github.com/thicket-cni/thicket/conformance/thick/shim"
	"github.com/thicket-cni/thicket/conformance/thick/socket"
)

// Profiles returns all profiles of thick plugins.
func Profiles() []suite.Profile {
	return []suite.Profile{
		socket.Profile(), ready.Profile(), endpoint.Profile(), shim.Profile(),
		add.Profile(), del.Profile(), check.Profile(), lifecycle.Profile(),
		hotplug.Profile(), multinet.Profile(), resilience.Profile(), security.Profile(),
	}
}
