// SPDX-License-Identifier: Apache-2.0

// Command thicket-shim is the CNI plugin that the container runtime executes. It passes each command on to the node's
// daemon and prints what the daemon answers. What is usual is done by package first before main begins; everything else is
// in package api.
package main

import (
	"github.com/thicket-cni/thicket/cmd/thicket-shim/first"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/buildinfo"
)

// version is set at build time with -ldflags "-X main.version=…".
var version string

func main() {
	api.Main("CNI plugin thicket-shim "+buildinfo.Version(version), first.Begun)
}
