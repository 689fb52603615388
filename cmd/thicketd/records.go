// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/brief"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

const recordsUsage = `thicketd records prints, for programs, what is recorded on a node: a line "CONTAINER INTERFACE"
for each attachment, for each DEL that a shim has left for later, and for each container that a
Multus which ran here before has a record of. What was set aside as damaged is not among it.
It changes nothing, and may run beside the daemon.

Usage:
  thicketd records [--cni-dir DIR] [--pending-dir DIR]

Flags:
`

// records lists what is recorded, without a configuration: a node whose daemon
// is gone can be asked, too.
func records(args []string, stdout, stderr io.Writer) error {
	flags := newFlags("thicketd records", recordsUsage, stderr)
	cniDir := flags.String("cni-dir", "/var/lib/cni/multus", "the `directory` of the records (cniDir)")
	pendingDir := flags.String("pending-dir", "", "the `directory` of DELs for later (default: pending in that of the records)")
	if err := flags.Parse(args); err != nil {
		return silent(err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("records: unknown flag %q; see thicketd records --help", flags.Arg(0))
	}
	if *pendingDir == "" {
		*pendingDir = api.PendingDir(*cniDir)
	}
	return errors.Join(printLedger(*cniDir, stdout), printPending(*pendingDir, stdout), printMultus(*cniDir, stdout))
}

func printLedger(cniDir string, out io.Writer) error {
	entries, err := ledger.List(cniDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		switch {
		case e.Err != nil || len(e.Record.Attachments) == 0:
			fmt.Fprintln(out, e.ContainerID, "-")
		default:
			for _, a := range e.Record.Attachments {
				fmt.Fprintln(out, e.ContainerID, brief.PlainLine(a.Interface))
			}
		}
	}
	return nil
}

func printPending(dir string, out io.Writer) error {
	paths, err := api.PendingFiles(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, path := range paths {
		if r, err := api.ReadPending(path); err == nil {
			fmt.Fprintln(out, brief.PlainLine(r.Env["CNI_CONTAINERID"]), brief.PlainLine(r.Env["CNI_IFNAME"]))
		}
	}
	return nil
}

// printMultus prints the containers of a Multus, whose record is a file of the
// container's name.
func printMultus(cniDir string, out io.Writer) error {
	entries, err := os.ReadDir(filepath.Clean(cniDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Type().IsRegular() && utils.ValidateContainerID(e.Name()) == nil {
			fmt.Fprintln(out, e.Name(), "-")
		}
	}
	return nil
}
