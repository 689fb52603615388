// SPDX-License-Identifier: Apache-2.0

// Command thin-runtime is a small runtime of CNI plugins, correct or with one
// deliberate fault, by the name under which it is executed. See package runtime.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/thicket-cni/thicket/fakes/runtime"
)

// listed is a fault as --list prints it: as a mutant.
type listed struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Fault string   `json:"fault"`
	Cases []string `json:"cases"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--list" {
		if err := list(); err != nil {
			fmt.Fprintln(os.Stderr, "thin-runtime:", err)
			os.Exit(1)
		}
		return
	}
	fault, _ := runtime.Named(os.Args[0])
	os.Exit(runtime.Main(fault, os.Args[1:]))
}

func list() error {
	all := []listed{}
	for _, f := range runtime.Faults() {
		all = append(all, listed{string(f.Name), runtime.Name, f.Wrong, f.Rows})
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(all)
}
