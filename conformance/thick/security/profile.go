// SPDX-License-Identifier: Apache-2.0

// Package security has the cases of the profile security: what a tenant, a pod or another user's process must not reach.
package security

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("security", "What a pod or a process of another user must not reach", slices.Concat(cases, delegatesCases, fairnessCases, filesCases, hoardCases, impostorsCases, largeCases, namesCases, pathCases, portsCases, processesCases, resultsCases, textsCases, traceCases)...)
}
