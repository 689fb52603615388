// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile socket: the run directory.
var rundirMutants = []mutant.Mutant{
	{Name: "rundir-not-made", Cases: []string{"SOCK-03"}, Unserved: true, Daemon: runDirNotMade,
		Fault: "a missing run directory is not made"},
	{Name: "rundir-0755", Cases: []string{"SOCK-03"}, Daemon: runDirMade(0o755, 0o755),
		Fault: "the run directory is made with mode 0755"},
	{Name: "rundir-parents-0777", Cases: []string{"SOCK-03"}, Daemon: runDirMade(0o777, 0o700),
		Fault: "the run directory's missing parents are made writable by all"},
	{Name: "rundir-symlink-followed", Cases: []string{"SOCK-07"}, Daemon: runDirSymlinkFollowed,
		Fault: "a run directory that is a symlink is followed"},
	{Name: "rundir-mended", Cases: []string{"SOCK-07"}, Daemon: runDirMended,
		Fault: "a run directory with a wrong owner or mode is mended and used"},
	{Name: "rundir-lax-accepted", Cases: []string{"SOCK-07"}, Daemon: runDirLaxAccepted,
		Fault: "a run directory that others may write to is used as it is"},
	{Name: "rundir-cleared-at-start", Cases: []string{"SOCK-08"}, Daemon: runDirClearedAtStart,
		Fault: "the run directory is cleared at start"},
	{Name: "rundir-removed-at-end", Cases: []string{"SOCK-08"}, Daemon: runDirRemovedAtEnd,
		Fault: "the run directory is removed at the end with all that is in it"},
}

func sysStat(info os.FileInfo) *syscall.Stat_t {
	st, _ := info.Sys().(*syscall.Stat_t)
	return st
}

func runDirNotMade(a *seam.Assembly) {
	a.OnStart(func() error {
		if _, err := os.Stat(a.Config.SocketDir); err != nil {
			return fmt.Errorf("run directory: %w", err)
		}
		return nil
	})
}

func runDirMade(parents, itself os.FileMode) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnStart(func() error {
			dir := filepath.Clean(a.Config.SocketDir)
			if err := os.MkdirAll(filepath.Dir(dir), parents); err != nil {
				return err
			}
			if err := os.Mkdir(dir, itself); err != nil && !errors.Is(err, os.ErrExist) {
				return err
			}
			return nil
		})
	}
}

func runDirSymlinkFollowed(a *seam.Assembly) {
	if actual, err := filepath.EvalSymlinks(filepath.Clean(a.Config.SocketDir)); err == nil {
		a.Config.SocketDir = actual
	}
}

func runDirMended(a *seam.Assembly) {
	a.OnStart(func() error {
		dir := filepath.Clean(a.Config.SocketDir)
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			return errors.Join(os.Chown(dir, 0, 0), os.Chmod(dir, 0o700))
		}
		return nil
	})
}

// runDirLaxAccepted hides the mode from the real check, and puts it back.
func runDirLaxAccepted(a *seam.Assembly) {
	dir := filepath.Clean(a.Config.SocketDir)
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return
	}
	a.OnStart(func() error { return os.Chmod(dir, 0o700) })
	a.OnListening(func() error { return os.Chmod(dir, info.Mode()) })
}

func runDirClearedAtStart(a *seam.Assembly) {
	a.OnStart(func() error {
		entries, _ := os.ReadDir(a.Config.SocketDir)
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(a.Config.SocketDir, e.Name())); err != nil {
				return err
			}
		}
		return nil
	})
}

func runDirRemovedAtEnd(a *seam.Assembly) {
	a.OnEnd(func() error { return os.RemoveAll(a.Config.SocketDir) })
}
