// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
)

// The profile resilience: many sandboxes at once.
var stormMutants = []mutant.Mutant{
	{Name: "storm-without-admission", Cases: []string{"RES-06"}, Daemon: withoutAdmission,
		Fault: "every request executes its delegates at once, whatever the memory limit is"},
}

func withoutAdmission(a *seam.Assembly) {
	a.WrapExec(func(e invoke.Exec) invoke.Exec {
		if own, ok := e.(*attach.Exec); ok {
			own.Gate = nil
		}
		return e
	})
}
