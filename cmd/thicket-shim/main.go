// SPDX-License-Identifier: Apache-2.0

// Command thicket-shim is the CNI plugin that the container runtime executes. It passes each command on to the node's
// daemon and prints what the daemon answers; everything that it does is in package api.
package main

import (
	"os"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/buildinfo"
)

// version is set at build time with -ldflags "-X main.version=…".
var version string

// deepen makes room on the stack for all that follows while the stack is nearly empty. Otherwise it is copied again and
// again, with more frames each time, as JSON is decoded and encoded: a twentieth of the shim's processor time (SHIM-13).
//
//go:noinline
func deepen() byte {
	var room [24 << 10]byte
	return room[len(os.Args)%len(room)]
}

func main() {
	deepen()
	api.Main("CNI plugin thicket-shim " + buildinfo.Version(version))
}
