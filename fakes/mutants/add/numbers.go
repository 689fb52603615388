// SPDX-License-Identifier: Apache-2.0

package add

import (
	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile add: the digits of numbers. To decode a number as float64 and to
// encode it again is the fault itself, so the changes below change nothing else.
func numbersMutants() []mutant.Mutant {
	add16 := []string{"ADD-16"}
	return []mutant.Mutant{
		{Name: "numbers-rounded", Cases: add16, Daemon: seam.OnConf("ADD", asItIs),
			Fault: "integers beyond 2^53 reach a delegate rounded"},
		{Name: "numbers-rounded-at-del", Cases: add16, Daemon: seam.OnConf("DEL", asItIs),
			Fault: "integers beyond 2^53 reach a delegate rounded at DEL"},
		{Name: "numbers-rounded-at-gc", Cases: add16, Daemon: seam.OnConf("GC", asItIs),
			Fault: "integers beyond 2^53 reach a delegate rounded at GC"},
		{Name: "numbers-of-args-rounded", Cases: add16, Daemon: seam.OnEach(func(map[string]any) {}),
			Fault: "integers beyond 2^53 in a selection's cni-args reach a delegate rounded"},
	}
}

func asItIs(*seam.Plugin, map[string]any) {}
