// SPDX-License-Identifier: Apache-2.0

// Package shim has the cases of the profile shim: the executable that the container runtime runs.
package shim

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("shim", "The shim that the runtime executes", slices.Concat(cases, onceCases)...)
}
