// SPDX-License-Identifier: Apache-2.0

// Command thicket-second is a second thick plugin, shim and daemon in one
// program, small and as unlike Thicket as the contract allows: it delegates by
// libcni, keeps everything in one database, has a configuration, a log and
// answers of its own form, and shares no code with pkg/. The conformance suite
// is judged by it, so that no case is tuned to one implementation, and an author
// of another one finds here the least that a target needs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// release is this build's, which the linker sets.
var release = "unversioned"

func main() {
	verb := ""
	if len(os.Args) > 1 {
		verb = os.Args[1]
	}
	var err error
	switch verb {
	case "":
		runShim()
	case "daemon":
		err = runDaemon(context.Background(), os.Args[2:])
	case "install":
		err = install(os.Args[2])
	case "--list":
		err = printFaults(os.Stdout)
	case "version":
		fmt.Println("thicket-second", release)
	default:
		err = fmt.Errorf("%q: want daemon, install, --list or version, or nothing to be a shim", verb)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "thicket-second:", err)
		os.Exit(1)
	}
}

// install puts this program into a directory, whole and at once: a runtime may
// be executing the one that is there (SHIM-12).
func install(dir string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer func() { _ = self.Close() }()
	tmp, err := os.CreateTemp(dir, ".thicket-second-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := io.Copy(tmp, self); err != nil {
		return err
	}
	if err := tmp.Chmod(0o755); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), filepath.Join(dir, "thicket-second"))
}

// identity is what a file is, whatever its path: device and inode.
func identity(info os.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
