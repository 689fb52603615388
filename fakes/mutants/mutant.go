// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// baseline is the mutant without a fault.
const baseline = "none"

// mutant is one fault. Exactly one of daemon, shim, installer and client is
// set, except in an equivalent one.
type mutant struct {
	// name is made of the requirement's subject and the fault.
	name string
	// fault says in a sentence what is wrong.
	fault string
	// cases are the requirements that the fault breaks: each must fail.
	cases []string
	// unserved says that the fault is that the daemon does not come to serve;
	// of any other mutant that would prove nothing.
	unserved bool
	// kubernetes says that the fault shows with an API server only.
	kubernetes bool
	// equivalent is why no case can tell the fault from none; such a mutant is
	// listed and not run.
	equivalent string

	// daemon puts the fault into the daemon.
	daemon func(*assembly)
	// refusing changes what the daemon says of a configuration that it cannot
	// use, before there is anything that daemon could take hold of.
	refusing func(config []byte, err error) error
	// shim takes the place of the shim's main.
	shim func()
	// installer takes the place of "thicketd install": it puts the file at shim
	// under its name into the directory dest.
	installer func(shim, dest string) error
	// client takes the place of the API's client functions.
	client *client
}

// The kinds of mutants, for who starts them.
const (
	kindDaemon    = "daemon"
	kindShim      = "shim"
	kindInstaller = "installer"
	kindClient    = "client"
)

func (m *mutant) kind() string {
	switch {
	case m.shim != nil:
		return kindShim
	case m.installer != nil:
		return kindInstaller
	case m.client != nil:
		return kindClient
	}
	return kindDaemon
}

var mutants = map[string]*mutant{baseline: {name: baseline, fault: "no fault at all", daemon: func(*assembly) {}}}

// register adds mutants; a malformed one stops the program.
func register(all ...mutant) {
	for _, m := range all {
		if err := m.validate(); err != nil {
			panic(fmt.Sprintf("mutant %q: %v", m.name, err))
		}
		mutants[m.name] = &m
	}
}

func (m *mutant) validate() error {
	parts := 0
	for _, set := range []bool{m.daemon != nil, m.shim != nil, m.installer != nil, m.client != nil} {
		if set {
			parts++
		}
	}
	switch {
	case m.name == "" || strings.Trim(m.name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("the name is not made of small letters, digits and '-'")
	case mutants[m.name] != nil:
		return fmt.Errorf("the name is taken")
	case m.fault == "" || len(m.cases) == 0:
		return fmt.Errorf("fault and cases are required")
	case m.equivalent != "" && parts != 0 || m.equivalent == "" && parts != 1:
		return fmt.Errorf("%d parts carry the fault; want one, and none in an equivalent", parts)
	}
	return nil
}

// sorted lists the mutants by the first case that claims them, then by name.
func sorted() []*mutant {
	var all []*mutant
	for _, m := range mutants {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *mutant) int {
		return cmp.Or(strings.Compare(firstCase(a), firstCase(b)), strings.Compare(a.name, b.name))
	})
	return all
}

func firstCase(m *mutant) string {
	if len(m.cases) == 0 {
		return ""
	}
	return m.cases[0]
}
