// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// steps is a program that changes files, in part by programs that it executes.
const steps = `echo first > one
mkdir two
cat one > /dev/null
mv one two/one
(echo second; echo third) >> two/one
rm two/one`

// TestMoments kills a program after each of its changes, and looks at what it has
// done by then.
func TestMoments(t *testing.T) {
	whole, dir := follow(t, 0)
	var said []string
	for _, made := range whole.made {
		name, path, _ := strings.Cut(made, " ")
		said = append(said, name+" "+strings.TrimPrefix(path, dir+"/"))
	}
	for i := range said { // the newer system calls and the older ones
		said[i] = strings.NewReplacer("openat", "open", "mkdirat", "mkdir", "renameat2", "rename", "renameat", "rename", "unlinkat", "unlink").Replace(said[i])
	}
	want := []string{"open one", "write one", "mkdir two", "rename two/one", "open two/one", "write two/one", "write two/one", "unlink two/one"}
	if !slices.Equal(said, want) {
		t.Fatalf("the changes are %q, want %q", said, want)
	}
	for after, files := range []string{1: "one:", 2: "one:first", 3: "one:first two/", 4: "two/ two/one:first", 5: "two/ two/one:first",
		6: "two/ two/one:first,second", 7: "two/ two/one:first,second,third", 8: "two/"} {
		if after == 0 {
			continue
		}
		m, dir := follow(t, after)
		if len(m.made) != after {
			t.Errorf("killed after %d changes, want %d", len(m.made), after)
		}
		if found := contents(t, dir); found != files {
			t.Errorf("after %d changes there is %q, want %q", after, found, files)
		}
	}
}

// follow executes the steps in a directory of their own and kills them.
func follow(t *testing.T, after int) (*moments, string) {
	t.Helper()
	dir := t.TempDir()
	m := &moments{kill: after}
	cmd := exec.Command("/bin/sh", "-c", steps)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Ptrace: true}
	err := suite.OnOwnThread(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		return m.follow(cmd.Process.Pid, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	})
	if errors.Is(err, syscall.EPERM) {
		t.Skipf("nothing may be traced here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); (err == nil) == (after > 0) {
		t.Errorf("the program ended with %v", err)
	}
	return m, dir
}

// contents lists the files below a directory, with their lines.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		if d.IsDir() {
			all = append(all, name+"/")
			return nil
		}
		text, err := os.ReadFile(path)
		all = append(all, name+":"+strings.Join(strings.Fields(string(text)), ","))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}
