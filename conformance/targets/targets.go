// SPDX-License-Identifier: Apache-2.0

// Package targets has the target files of Thicket's own binaries, of the second
// implementation, and of the suite's own small plugin, for programs that judge
// them, or something near them.
package targets

import _ "embed" // for the files

// Thicket is the target file of Thicket's own binaries.
//
//go:embed thicket.yaml
var Thicket []byte

// ThicketKubernetes is the same with an API server for its cluster.
//
//go:embed thicket-kubernetes.yaml
var ThicketKubernetes []byte

// Second is the target file of the second implementation (fakes/second).
//
//go:embed second.yaml
var Second []byte

// InitThick is a target file for a thick plugin, to be filled in by its author.
//
//go:embed init-thick.yaml
var InitThick []byte

// InitRuntime is one for a runtime.
//
//go:embed init-runtime.yaml
var InitRuntime []byte

// ThicketRuntime is the target file of Thicket's daemon as the runtime of its
// delegates.
//
//go:embed runtimes/thicket.yaml
var ThicketRuntime []byte

// ThinRuntime is the target file of the suite's own small runtime (fakes/runtime).
//
//go:embed runtimes/thin.yaml
var ThinRuntime []byte

// ThinVeth, ThinIPAM and ThinChain are the target files of the suite's own small
// CNI plugin in its three roles (fakes/plugin).
var (
	//go:embed plugins/thin-veth.yaml
	ThinVeth []byte
	//go:embed plugins/thin-ipam.yaml
	ThinIPAM []byte
	//go:embed plugins/thin-chain.yaml
	ThinChain []byte
)
