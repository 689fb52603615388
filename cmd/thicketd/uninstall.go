// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"syscall"

	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

// commands are where the plugins' programs are in the module.
const commands = "github.com/thicket-cni/thicket/cmd"

const uninstallUsage = `thicketd uninstall removes from a node what the daemon and "thicketd install" put there:
the generated configuration (00-multus.conf, or the 00-multus.conflist that another
program made of it), then thicket-shim and thicket-passthrough. It touches no other
file, and fails when a configuration of another name still calls the shim, when a
daemon still runs, or when a program of these names is not Thicket's. The records
in cniDir stay: delete the node's pods of several networks before the daemon.

Usage:
  thicketd uninstall --dest DIR [--conf-dir DIR] [--stay]

Flags:
`

// uninstall takes the configuration and the plugins away, in this order: a
// runtime must not find a configuration whose plugin is missing (RES-10).
func uninstall(args []string, stdout, stderr io.Writer) error {
	flags := newFlags("thicketd uninstall", uninstallUsage, stderr)
	dest := flags.String("dest", "", "the runtime's plugin `directory`, such as /opt/cni/bin")
	confDir := flags.String("conf-dir", "/etc/cni/net.d", "the runtime's configuration `directory` (cniConfigDir)")
	stay := flags.Bool("stay", false, "afterwards wait for SIGTERM, as the container of a DaemonSet has to")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("uninstall: unknown flag %q; see thicketd uninstall --help", flags.Arg(0))
	case *dest == "":
		return errors.New("uninstall: --dest is missing; name the runtime's plugin directory, such as /opt/cni/bin")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	removed, err := uninstallFiles(ctx, *confDir, *dest)
	for _, file := range removed {
		fmt.Fprintf(stdout, "removed %s\n", file)
	}
	if err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	fmt.Fprintf(stdout, "uninstalled: %d files removed\n", len(removed))
	if *stay {
		<-ctx.Done()
	}
	return nil
}

// uninstallFiles removes all that is ours, or nothing when one of the plugins is
// not, and returns what it removed.
func uninstallFiles(ctx context.Context, confDir, dest string) (removed []string, err error) {
	var plugins []string
	for _, name := range []string{shimName, chainPlugin} {
		plugin := filepath.Join(dest, name)
		switch err := checkOurs(plugin, name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		default:
			plugins = append(plugins, plugin)
		}
	}
	if removed, err = nodeconf.Uninstall(ctx, confDir, shimName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return removed, err
	}
	for _, plugin := range plugins {
		if err := os.Remove(plugin); err != nil {
			return removed, err
		}
		removed = append(removed, plugin)
	}
	return removed, nil
}

// checkOurs is an error when a file is not Thicket's plugin of that name, by what
// the Go linker says of it.
func checkOurs(file, name string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is a %s, and not what thicketd install made; remove it yourself", file, info.Mode().Type())
	}
	build, err := buildinfo.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s is not Thicket's (%w); remove it yourself", file, err)
	}
	if want := path.Join(commands, name); build.Path != want {
		return fmt.Errorf("%s is not Thicket's: it is built from %s, not from %s; remove it yourself", file, build.Path, want)
	}
	return nil
}
