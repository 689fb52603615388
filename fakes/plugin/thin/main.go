// SPDX-License-Identifier: Apache-2.0

// Command thin-plugin is a small CNI plugin, correct or with one deliberate
// fault, by the name under which it is executed. See package plugin.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/thicket-cni/thicket/fakes/plugin"
)

const usage = `thin-plugin is a CNI plugin with at most one deliberate fault.

Usage:
  thin-plugin --list [-o table|json]
  thin-veth[.FAULT], thin-ipam[.FAULT], thin-chain[.FAULT]  (the program under such a name) the plugin

Flags:
`

func main() {
	if role, fault, ok := plugin.Named(os.Args[0]); ok {
		os.Exit(plugin.Main(role, fault))
	}
	show := flag.Bool("list", false, "list the faults")
	form := flag.String("o", "table", "`form` of the list: table or json")
	flag.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if !*show {
		flag.Usage()
		os.Exit(2)
	}
	if err := list(os.Stdout, *form); err != nil {
		fmt.Fprintln(os.Stderr, "thin-plugin:", err)
		os.Exit(1)
	}
}

// listed is a fault as --list prints it: as a mutant whose kind is the role.
type listed struct {
	Name  string   `json:"name"`
	Kind  string   `json:"kind"`
	Fault string   `json:"fault"`
	Cases []string `json:"cases"`
}

func list(out io.Writer, form string) error {
	all := []listed{}
	for _, f := range plugin.Faults() {
		all = append(all, listed{string(f.Name), string(f.Role), f.Wrong, f.Rows})
	}
	switch form {
	case "json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(all)
	case "table":
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "FAULT\tROLE\tCASES\tWRONG")
		for _, f := range all {
			fmt.Fprintf(t, "%s\t%s\t%v\t%s\n", f.Name, f.Kind, f.Cases, f.Fault)
		}
		return t.Flush()
	}
	return fmt.Errorf("-o %q is unknown; there are table and json", form)
}
