// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Options are what Measure needs.
type Options struct {
	// Daemons are the programs of hollow nodes to measure, in their order.
	Daemons []Daemon
	// Nodes are the numbers of nodes, each against an API server of its own.
	Nodes []int
	// Assets is where etcd and kube-apiserver are, unless KUBEBUILDER_ASSETS says so.
	Assets string
	// WorkDir is where API servers keep their files; empty for the system's.
	WorkDir string
	// Progress says what is being done; nil for nobody.
	Progress func(format string, args ...any)
	// Stderr is where the programs complain.
	Stderr io.Writer
}

// Daemon is a program of hollow nodes; see package fakes/hollow.
type Daemon struct {
	Name string
	// Command is the program and its arguments.
	Command []string
}

// MostNodes is the largest number of nodes of a trial: more would need more memory and
// processors than machines for tests have.
const MostNodes = 5000

// ParseDaemon reads NAME=PROGRAM ARGUMENTS.
func ParseDaemon(text string) (Daemon, error) {
	name, command, ok := strings.Cut(text, "=")
	d := Daemon{Name: name, Command: strings.Fields(command)}
	if !ok || name == "" || len(d.Command) == 0 {
		return d, fmt.Errorf("%q: want name=program and its arguments", text)
	}
	return d, nil
}

// Check says what is wrong with numbers of nodes.
func Check(nodes []int) error {
	for _, n := range nodes {
		if n < 1 || n > MostNodes {
			return fmt.Errorf("%d nodes: want a number from 1 to %d", n, MostNodes)
		}
	}
	if len(nodes) == 0 || !slices.IsSorted(nodes) || len(slices.Compact(slices.Clone(nodes))) != len(nodes) {
		return errors.New("want one number of nodes or several, each larger than the one before")
	}
	return nil
}

// Measure measures each daemon at each number of nodes, the daemons in turns. On an
// error the report has what was measured before.
func Measure(ctx context.Context, o Options) (*Report, error) {
	r := &Report{}
	if err := Check(o.Nodes); err != nil {
		return r, err
	}
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	for _, d := range o.Daemons {
		r.Sides = append(r.Sides, Side{Name: d.Name})
	}
	for i, nodes := range o.Nodes {
		for j, d := range o.Daemons {
			o.Progress("scale: %s, %d nodes (number %d of %d)", d.Name, nodes, i+1, len(o.Nodes))
			result, err := try(ctx, &o, d, nodes)
			if err != nil {
				return r, fmt.Errorf("%d nodes with %s: %w", nodes, d.Name, err)
			}
			s := &r.Sides[j]
			s.Trials = append(s.Trials, *result)
			s.Lines = lines(s.Trials)
		}
	}
	return r, nil
}
