// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// marker is a file in each directory where Link has made a link.
const marker = ".thicket-conformance-delegates"

// modeVariable has a process be something else than a plugin: modeChild is what
// a plugin leaves behind, modeOrphan the parent of that for a moment, modeObserve
// with a path an observer.
const (
	modeVariable = "THICKET_CONFORMANCE_DELEGATE"
	modeChild    = "child"
	modeOrphan   = "orphan"
	modeObserve  = "observe:"
)

// The packages that sort behind this one by their paths, and do not belong to
// what it imports, are not initialized yet: a delegate costs about what a
// program of its own does, however large the suite is.
func init() { takeOver() }

// takeOver makes this process the delegate when it was executed as one, and
// returns otherwise. A test program may itself be executed as a CNI plugin, as a
// shim for example, so CNI_COMMAND alone does not say it: a delegate has no
// arguments, and the directory of the name by which it was executed has the
// marker. A link, a copy and any other name in that directory do as well.
func takeOver() {
	mode, named := os.LookupEnv(modeVariable)
	path, observed := strings.CutPrefix(mode, modeObserve)
	switch {
	case named && mode == modeChild:
		forever()
	case named && mode == modeOrphan:
		exit(leaveOrphan())
	case named && observed:
		exit(observe(path, os.Stdin, os.Stdout))
	case os.Getenv("CNI_COMMAND") == "" || len(os.Args) != 1:
		return
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(os.Args[0]), marker)); err == nil {
		play()
	}
}

// Link puts the delegate into a directory of plugins, under a name. executable
// is a program that imports this package; empty means this one.
func Link(dir, name, executable string) error {
	if executable == "" {
		var err error
		if executable, err = self(); err != nil {
			return err
		}
	}
	executable, err := filepath.Abs(executable)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(executable); err != nil {
		return fmt.Errorf("the fake delegate: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, marker), nil, 0o600); err != nil {
		return err
	}
	return os.Symlink(executable, filepath.Join(dir, name))
}

// self is the path of this program. A link to /proc/self/exe itself would be a
// link to whatever program follows it.
func self() (string, error) {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("this program was removed or replaced while it runs: %w", err)
	}
	return path, nil
}

// Observer is the command that looks at a path all the time, until its stdin is
// closed, and then prints an Observation. It prints a line when it begins.
func Observer(executable, path string) *exec.Cmd {
	if executable == "" {
		executable = "/proc/self/exe"
	}
	cmd := exec.Command(executable) //nolint:noctx // the caller ends it
	cmd.Env = append(os.Environ(), modeVariable+"="+modeObserve+path)
	return cmd
}
