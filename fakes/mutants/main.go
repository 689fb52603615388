// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

const usage = `thicket-mutants is Thicket with one deliberate fault.

Usage:
  thicket-mutants --list [-o table|json]
  thicket-mutants --mutant NAME [--config FILE]                       the daemon
  thicket-mutants --mutant NAME install --dest DIR --shim FILE        the installer
  thicket-mutants --mutant NAME check-ready|wait-ready RUNDIRECTORY   the client
  NAME (the program under the name of a mutant)                       the shim

Flags:
`

// program is what the executable is called when it is not a shim.
const program = "thicket-mutants"

func main() {
	// A runtime decides on the shim's environment and arguments, so a shim can
	// be told its mutant by its own name alone.
	if m := mutants[filepath.Base(os.Args[0])]; m != nil && m.shim != nil {
		m.shim()
		return
	}
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet(program, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	showList := flags.Bool("list", false, "list the mutants")
	output := flags.String("o", "table", "`form` of the list: table or json")
	name := flags.String("mutant", "", "the mutant's `name`")
	config := flags.String("config", "", "the daemon's configuration, a JSON `file`")
	showVersion := flags.Bool("version", false, "print the mutant's name and end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *showList {
		return list(stdout, *output)
	}
	m := mutants[*name]
	switch {
	case m == nil:
		return fmt.Errorf("--mutant %q is unknown; see %s --list", *name, program)
	case m.equivalent != "":
		return fmt.Errorf("mutant %s cannot be told from none (%s), so there is nothing to run", m.name, m.equivalent)
	case *showVersion:
		_, err := fmt.Fprintf(stdout, "%s %s\n", program, m.name)
		return err
	}
	switch command := flags.Arg(0); command {
	case "":
		return serve(m, *config)
	case "install":
		return install(m, flags.Args()[1:], stderr)
	case "check-ready", "wait-ready":
		return ask(m, command, flags.Arg(1))
	default:
		return fmt.Errorf("%q is no command; see %s --help", command, program)
	}
}

// listed is a mutant as --list prints it.
type listed struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Fault      string   `json:"fault"`
	Cases      []string `json:"cases"`
	Unserved   bool     `json:"unserved,omitempty"`
	Kubernetes bool     `json:"kubernetes,omitempty"`
	Equivalent string   `json:"equivalent,omitempty"`
}

func list(out io.Writer, form string) error {
	all := []listed{}
	for _, m := range sorted() {
		all = append(all, listed{m.name, m.kind(), m.fault, m.cases, m.unserved, m.kubernetes, m.equivalent})
	}
	switch form {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	case "table":
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "MUTANT\tKIND\tCASES\tFAULT")
		for _, l := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", l.Name, l.Kind, strings.Join(l.Cases, ","), l.Fault)
		}
		return t.Flush()
	}
	return fmt.Errorf("-o %q is unknown; there are table and json", form)
}

func install(m *mutant, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dest := flags.String("dest", "", "the runtime's plugin `directory`")
	shim := flags.String("shim", "", "the shim to install, a `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if m.installer == nil {
		return fmt.Errorf("mutant %s is not one of the installer", m.name)
	}
	return m.installer(*shim, *dest)
}
