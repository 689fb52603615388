// SPDX-License-Identifier: Apache-2.0

// Package socket has the cases of the profile socket: who may reach the daemon, and what lies at the socket's path.
package socket

import (
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Profile returns the profile with its cases.
func Profile() suite.Profile {
	return thick.NewProfile("socket", "The socket and the run directory", cases...)
}
