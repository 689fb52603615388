// SPDX-License-Identifier: Apache-2.0

// Package endpoint has the cases of the profile endpoint: the HTTP contract of the daemon's endpoints.
package endpoint

import (
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("endpoint", "The HTTP endpoints", cases...)
}
