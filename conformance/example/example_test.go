// SPDX-License-Identifier: Apache-2.0

// Package example judges a thick plugin's binaries from a module of its own,
// as the authors of another daemon would: with a target file and these lines.
package example

import (
	"testing"

	"github.com/thicket-cni/thicket/conformance"
)

func TestConformance(t *testing.T) {
	target, err := conformance.LoadTarget("target.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conformance.Run(t, conformance.Config{Target: target, PluginDir: "../../bin/cni",
		Selection: conformance.Selection{Profiles: []string{"socket", "endpoint"}}})
}
