// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"testing"

	"github.com/thicket-cni/thicket/fakes/runtime"
)

// A case is worth nothing until something wrong has failed it.
func TestEachRowHasAFault(t *testing.T) {
	claimed := map[string]bool{}
	for _, f := range runtime.Faults() {
		for _, row := range f.Rows {
			claimed[row] = true
		}
	}
	for _, c := range Profile().Cases {
		if !claimed[c.ID] {
			t.Errorf("%s: no fault of fakes/runtime claims it", c.ID)
		}
		delete(claimed, c.ID)
	}
	for row := range claimed {
		t.Errorf("%s: a fault claims it, and there is no such row", row)
	}
}
