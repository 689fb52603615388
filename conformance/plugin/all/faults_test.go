// SPDX-License-Identifier: Apache-2.0

package all

import (
	"testing"

	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/plugin"
)

// A case is worth nothing until something wrong has failed it.
func TestEachRowHasAFault(t *testing.T) {
	claimed := map[string]bool{}
	for _, f := range plugin.Faults() {
		for _, row := range f.Rows {
			claimed[row] = true
		}
	}
	for _, p := range Profiles() {
		for _, c := range p.Cases {
			if c.Level == spec.Must && !claimed[c.ID] {
				t.Errorf("%s: no fault of fakes/plugin claims it", c.ID)
			}
			delete(claimed, c.ID)
		}
	}
	for row := range claimed {
		t.Errorf("%s: a fault claims it, and there is no such row", row)
	}
}
