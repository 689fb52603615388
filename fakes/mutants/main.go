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
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/thicket-cni/thicket/fakes/mutants/add"
	"github.com/thicket-cni/thicket/fakes/mutants/check"
	"github.com/thicket-cni/thicket/fakes/mutants/del"
	"github.com/thicket-cni/thicket/fakes/mutants/delegating"
	"github.com/thicket-cni/thicket/fakes/mutants/endpoint"
	"github.com/thicket-cni/thicket/fakes/mutants/hotplug"
	"github.com/thicket-cni/thicket/fakes/mutants/lifecycle"
	"github.com/thicket-cni/thicket/fakes/mutants/multinet"
	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/ready"
	"github.com/thicket-cni/thicket/fakes/mutants/resilience"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/fakes/mutants/security"
	"github.com/thicket-cni/thicket/fakes/mutants/shim"
	"github.com/thicket-cni/thicket/fakes/mutants/socket"
	"github.com/thicket-cni/thicket/pkg/api"
)

// ask calls a client function and prints its error as the API's would read.
func ask(m *mutant.Mutant, command, runDir string) error {
	c := seam.Client{Check: api.CheckAPIReadyNow, Wait: api.WaitUntilAPIReady}
	if m.Client != nil && m.Client.Check != nil {
		c.Check = m.Client.Check
	}
	if m.Client != nil && m.Client.Wait != nil {
		c.Wait = m.Client.Wait
	}
	f := c.Check
	if command == "wait-ready" {
		f = c.Wait
	}
	if runDir == "" {
		return fmt.Errorf("%s: the run directory is missing", command)
	}
	return f(runDir)
}

const usage = `thicket-mutants is Thicket with one deliberate fault.

Usage:
  thicket-mutants --list [-o table|json]
  thicket-mutants --mutant NAME [--config FILE]                       the daemon
  thicket-mutants --mutant NAME install --dest DIR --shim FILE        the installer
  thicket-mutants --mutant NAME check-ready|wait-ready RUNDIRECTORY   the client
  NAME (the program under the name of a mutant)                       the shim

Flags:
`

func main() {
	// A runtime decides on the shim's environment and arguments, so a shim can
	// be told its mutant by its own name alone.
	set, err := mutant.NewSet(registered()...)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", mutant.Program, err)
		os.Exit(1)
	}
	if m := set[filepath.Base(os.Args[0])]; m != nil && m.Shim != nil {
		m.Shim()
		return
	}
	if err := run(set, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", mutant.Program, err)
		os.Exit(1)
	}
}

// registered are the mutants of every profile.
func registered() []mutant.Mutant {
	return slices.Concat(
		socket.Mutants(), ready.Mutants(), endpoint.Mutants(), shim.Mutants(), add.Mutants(), del.Mutants(),
		check.Mutants(), lifecycle.Mutants(), hotplug.Mutants(), multinet.Mutants(), resilience.Mutants(), security.Mutants(), delegating.Mutants())
}

func run(set mutant.Set, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet(mutant.Program, flag.ContinueOnError)
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
		return list(set, stdout, *output)
	}
	m := set[*name]
	switch {
	case m == nil:
		return fmt.Errorf("--mutant %q is unknown; see %s --list", *name, mutant.Program)
	case m.Equivalent != "":
		return fmt.Errorf("mutant %s cannot be told from none (%s), so there is nothing to run", m.Name, m.Equivalent)
	case *showVersion:
		_, err := fmt.Fprintf(stdout, "%s %s\n", mutant.Program, m.Name)
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
		return fmt.Errorf("unknown command %q; see %s --help", command, mutant.Program)
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

func list(set mutant.Set, out io.Writer, form string) error {
	all := []listed{}
	for _, m := range set.Sorted() {
		all = append(all, listed{m.Name, m.Kind(), m.Fault, m.Cases, m.Unserved, m.Kubernetes, m.Equivalent})
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

func install(m *mutant.Mutant, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dest := flags.String("dest", "", "the runtime's plugin `directory`")
	shim := flags.String("shim", "", "the shim to install, a `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if m.Installer == nil {
		return fmt.Errorf("mutant %s is not one of the installer", m.Name)
	}
	return m.Installer(*shim, *dest)
}
