// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/lint"
)

const lintUsage = `thicketd lint judges manifests and CNI configurations as the daemon would: network definitions, pods,
the templates of pods in workloads, and files named .conf and .conflist. Other kinds of objects are passed
over; "-" is standard input. Each line of what it prints begins with FILE:LINE. The exit status is 1 when
something is wrong; warnings do not count.

Definitions are looked for among the files; one that is not there is a warning, or with --complete an error.
Limits and rules are those of --config, else the defaults. With --bin-dir each plugin has to be installed there.

Usage:
  thicketd lint [--config FILE] [--bin-dir DIRS] [--complete] FILE…

Flags:
`

// errWrong ends lint when it has printed what is wrong.
var errWrong = errors.New("what is wrong is printed above")

// lintFiles is for the CI of people's manifests. It needs no node and no cluster.
func lintFiles(args []string, stdout, stderr io.Writer) error {
	flags := newFlags("thicketd lint", lintUsage, stderr)
	file := flags.String("config", "", "the daemon's configuration, a JSON `file` (default: none)")
	binDirs := flags.String("bin-dir", "", "the `directories` of the plugins, separated by ':' (default: plugins are not looked for)")
	complete := flags.Bool("complete", false, "the files have all definitions that there are")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	if flags.NArg() == 0 {
		return errors.New("lint: no file is named; see thicketd lint --help")
	}
	config := daemon.DefaultConfig()
	if *file != "" {
		var err error
		if config, _, err = load(*file); err != nil {
			return err
		}
	}
	options := lint.Options{Network: daemon.Rules(config), Complete: *complete}
	if *binDirs != "" {
		find := &attach.Exec{}
		options.Installed = func(plugin string) error {
			_, err := find.FindInPath(plugin, filepath.SplitList(*binDirs))
			return err
		}
	}
	l := lint.New(options)
	for _, path := range flags.Args() {
		if err := read(l, path); err != nil {
			return fmt.Errorf("lint: %w", err)
		}
	}
	wrong := 0
	for _, f := range l.Findings(context.Background()) {
		fmt.Fprintln(stdout, brief.Shown(f.String()))
		if !f.Warning {
			wrong++
		}
	}
	if wrong > 0 {
		return fmt.Errorf("lint: %d faults: %w", wrong, errWrong)
	}
	return nil
}

func read(l *lint.Linter, path string) error {
	if path != "-" {
		return l.File(path)
	}
	data, err := io.ReadAll(io.LimitReader(os.Stdin, lint.Most+1))
	if err == nil && len(data) > lint.Most {
		err = fmt.Errorf("standard input is larger than %d bytes", lint.Most)
	}
	if err == nil {
		l.Manifests("-", data)
	}
	return err
}
