// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/pkg/attach"
)

// The profile resilience: many sandboxes at once.
func init() {
	register(mutant{name: "storm-without-admission", cases: []string{"RES-06"}, daemon: withoutAdmission,
		fault: "every request executes its delegates at once, whatever the memory limit is"})
}

func withoutAdmission(a *assembly) {
	a.wrapExec(func(e invoke.Exec) invoke.Exec {
		if own, ok := e.(*attach.Exec); ok {
			own.Gate = nil
		}
		return e
	})
}
