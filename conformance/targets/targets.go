// SPDX-License-Identifier: Apache-2.0

// Package targets has the target files of Thicket's own binaries, for programs
// that judge them, or something near them.
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
