// SPDX-License-Identifier: Apache-2.0

// Package ready has the cases of the profile ready: readiness and its time limits.
package ready

import (
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("ready", "Readiness: of the daemon, and as clients ask for it", cases...)
}
