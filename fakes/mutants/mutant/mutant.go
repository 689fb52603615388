// SPDX-License-Identifier: Apache-2.0

// Package mutant has what a mutant is: Thicket with one deliberate fault.
package mutant

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// Program is what the executable is called when it is not a shim.
const Program = "thicket-mutants"

// Baseline is the mutant without a fault.
const Baseline = "none"

// Mutant is one fault. Exactly one of daemon, shim, installer and client is
// set, except in an equivalent one.
type Mutant struct {
	// Name is made of the requirement's subject and the fault.
	Name string
	// Fault says in a sentence what is wrong.
	Fault string
	// Cases are the requirements that the fault breaks: each must fail.
	Cases []string
	// Unserved says that the fault is that the daemon does not come to serve;
	// of any other mutant that would prove nothing.
	Unserved bool
	// Kubernetes says that the fault shows with an API server only.
	Kubernetes bool
	// Equivalent is why no case can tell the fault from none; such a mutant is
	// listed and not run.
	Equivalent string

	// Daemon puts the fault into the daemon.
	Daemon func(*seam.Assembly)
	// Refusing changes what the daemon says of a configuration that it cannot
	// use, before there is anything that daemon could take hold of.
	Refusing func(config []byte, err error) error
	// Shim takes the place of the shim's main.
	Shim func()
	// Installer takes the place of "thicketd install": it puts the file at shim
	// under its name into the directory dest.
	Installer func(shim, dest string) error
	// Client takes the place of the API's client functions.
	Client *seam.Client
}

// The kinds of mutants: what a program has to start to meet the fault.
const (
	kindDaemon    = "daemon"
	kindShim      = "shim"
	kindInstaller = "installer"
	kindClient    = "client"
)

// Kind says which part of the product the fault is in.
func (m *Mutant) Kind() string {
	switch {
	case m.Shim != nil:
		return kindShim
	case m.Installer != nil:
		return kindInstaller
	case m.Client != nil:
		return kindClient
	}
	return kindDaemon
}

// Set is mutants by name.
type Set map[string]*Mutant

// NewSet makes a set of mutants and the baseline. A malformed mutant, and a name
// that is taken, is an error.
func NewSet(all ...Mutant) (Set, error) {
	s := Set{Baseline: {Name: Baseline, Fault: "no fault at all", Daemon: func(*seam.Assembly) {}}}
	for _, m := range all {
		if err := m.validate(); err != nil {
			return nil, fmt.Errorf("mutant %q: %w", m.Name, err)
		}
		if s[m.Name] != nil {
			return nil, fmt.Errorf("mutant %q: the name is taken", m.Name)
		}
		s[m.Name] = &m
	}
	return s, nil
}

func (m *Mutant) validate() error {
	parts := 0
	for _, set := range []bool{m.Daemon != nil, m.Shim != nil, m.Installer != nil, m.Client != nil} {
		if set {
			parts++
		}
	}
	switch {
	case m.Name == "" || strings.Trim(m.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("the name is not made of small letters, digits and '-'")
	case m.Fault == "" || len(m.Cases) == 0:
		return fmt.Errorf("fault and cases are required")
	case m.Equivalent != "" && parts != 0 || m.Equivalent == "" && parts != 1:
		return fmt.Errorf("%d parts carry the fault; want one, and none in an equivalent", parts)
	}
	return nil
}

// Sorted lists the mutants by the first case that claims them, then by name.
func (s Set) Sorted() []*Mutant {
	all := slices.Collect(maps.Values(s))
	slices.SortFunc(all, func(a, b *Mutant) int {
		return cmp.Or(strings.Compare(firstCase(a), firstCase(b)), strings.Compare(a.Name, b.Name))
	})
	return all
}

func firstCase(m *Mutant) string {
	if len(m.Cases) == 0 {
		return ""
	}
	return m.Cases[0]
}
