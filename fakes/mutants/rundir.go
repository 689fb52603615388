// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// The profile socket: the run directory.
func init() {
	register(
		mutant{name: "rundir-not-made", cases: []string{"SOCK-03"}, unserved: true, daemon: runDirNotMade,
			fault: "a missing run directory is not made"},
		mutant{name: "rundir-0755", cases: []string{"SOCK-03"}, daemon: runDirMade(0o755, 0o755),
			fault: "the run directory is made with mode 0755"},
		mutant{name: "rundir-parents-0777", cases: []string{"SOCK-03"}, daemon: runDirMade(0o777, 0o700),
			fault: "the run directory's missing parents are made writable by all"},
		mutant{name: "rundir-symlink-followed", cases: []string{"SOCK-07"}, daemon: runDirSymlinkFollowed,
			fault: "a run directory that is a symlink is followed"},
		mutant{name: "rundir-mended", cases: []string{"SOCK-07"}, daemon: runDirMended,
			fault: "a run directory with a wrong owner or mode is mended and used"},
		mutant{name: "rundir-lax-accepted", cases: []string{"SOCK-07"}, daemon: runDirLaxAccepted,
			fault: "a run directory that others may write to is used as it is"},
		mutant{name: "rundir-cleared-at-start", cases: []string{"SOCK-08"}, daemon: runDirClearedAtStart,
			fault: "the run directory is cleared at start"},
		mutant{name: "rundir-removed-at-end", cases: []string{"SOCK-08"}, daemon: runDirRemovedAtEnd,
			fault: "the run directory is removed at the end with all that is in it"},
	)
}

func sysStat(info os.FileInfo) *syscall.Stat_t {
	st, _ := info.Sys().(*syscall.Stat_t)
	return st
}

func runDirNotMade(a *assembly) {
	a.onStart(func() error {
		if _, err := os.Stat(a.config.SocketDir); err != nil {
			return fmt.Errorf("run directory: %w", err)
		}
		return nil
	})
}

func runDirMade(parents, itself os.FileMode) func(*assembly) {
	return func(a *assembly) {
		a.onStart(func() error {
			dir := filepath.Clean(a.config.SocketDir)
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

func runDirSymlinkFollowed(a *assembly) {
	if actual, err := filepath.EvalSymlinks(filepath.Clean(a.config.SocketDir)); err == nil {
		a.config.SocketDir = actual
	}
}

func runDirMended(a *assembly) {
	a.onStart(func() error {
		dir := filepath.Clean(a.config.SocketDir)
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			return errors.Join(os.Chown(dir, 0, 0), os.Chmod(dir, 0o700))
		}
		return nil
	})
}

// runDirLaxAccepted hides the mode from the real check, and puts it back.
func runDirLaxAccepted(a *assembly) {
	dir := filepath.Clean(a.config.SocketDir)
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return
	}
	a.onStart(func() error { return os.Chmod(dir, 0o700) })
	a.onListening(func() error { return os.Chmod(dir, info.Mode()) })
}

func runDirClearedAtStart(a *assembly) {
	a.onStart(func() error {
		entries, _ := os.ReadDir(a.config.SocketDir)
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(a.config.SocketDir, e.Name())); err != nil {
				return err
			}
		}
		return nil
	})
}

func runDirRemovedAtEnd(a *assembly) {
	a.onEnd(func() error { return os.RemoveAll(a.config.SocketDir) })
}
