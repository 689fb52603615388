// SPDX-License-Identifier: Apache-2.0

// Package example judges a CNI plugin from a module of its own, as its authors
// would: with a target file, which "thicket-conformance init plugin" writes, and
// these lines.
package example

import (
	"testing"

	"github.com/thicket-cni/thicket/conformance"
)

func TestConformance(t *testing.T) {
	target, err := conformance.Load("target.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, conformance.Config{Target: target})
}
