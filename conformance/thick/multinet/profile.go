// SPDX-License-Identifier: Apache-2.0

// Package multinet has the cases of the profile multinet: Kubernetes pods with several networks, and their network definitions.
package multinet

import (
	"slices"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("multinet", "Several networks: annotations, definitions, status", slices.Concat(cases, certificateCases, devicesCases, devicesOrderCases, eventsCases, freshCases, interfacesCases, invalidCases, multusCases, runtimeconfigCases, tokenCases, undeclaredCases, writesCases)...)
}
