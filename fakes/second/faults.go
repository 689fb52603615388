// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// fault is the one deliberate fault of this process, "" for none.
var fault string

// broken reports whether the process has a fault.
func broken(name string) bool { return fault == name }

// mutant is a fault as the suite's command mutants reads it.
type mutant struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Fault string   `json:"fault"`
	Cases []string `json:"cases"`
}

// faultOfShim is the fault whose name the program was executed by.
func faultOfShim() string {
	name := filepath.Base(os.Args[0])
	if slices.ContainsFunc(faults, func(m mutant) bool { return m.Kind == "shim" && m.Name == name }) {
		return name
	}
	return ""
}

func printFaults(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(faults)
}

// faults are all of them, with the rows that claim each.
var faults = []mutant{}
