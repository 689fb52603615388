// SPDX-License-Identifier: Apache-2.0

package main

// The profile add: the digits of numbers. To decode a number as float64 and to
// encode it again is the fault itself, so the changes below change nothing else.
func init() {
	add16 := []string{"ADD-16"}
	register(
		mutant{name: "numbers-rounded", cases: add16, daemon: onConf("ADD", asItIs),
			fault: "integers beyond 2^53 reach a delegate rounded"},
		mutant{name: "numbers-rounded-at-del", cases: add16, daemon: onConf("DEL", asItIs),
			fault: "integers beyond 2^53 reach a delegate rounded at DEL"},
		mutant{name: "numbers-of-args-rounded", cases: add16, daemon: onEach(func(map[string]any) {}),
			fault: "integers beyond 2^53 in a selection's cni-args reach a delegate rounded"},
	)
}

func asItIs(*plugin, map[string]any) {}
