// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reached is what a process of this program prints that is not the delegate.
const reached = "this is the program itself"

func TestMain(m *testing.M) {
	if os.Getenv("CNI_COMMAND") != "" {
		_, _ = io.WriteString(os.Stdout, reached)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// linked is a link to this test program as the delegate.
func linked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := Link(dir, "fake", ""); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "fake")
}

// askVersion executes a program as a CNI plugin.
func askVersion(t *testing.T, path string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"CNI_COMMAND=VERSION"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", path, err, out)
	}
	return string(out)
}

// TestTakeOver executes this program by all the names that cases make, and by
// those that are no business of the delegate.
func TestTakeOver(t *testing.T) {
	fake := linked(t)
	dir, elsewhere := filepath.Dir(fake), t.TempDir()
	program, err := self()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	at := func(dir, name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Symlink(fake, at(dir, "link-to-link")), os.WriteFile(at(dir, "copy"), content, 0o700),
		os.WriteFile(at(dir, "script"), []byte("#!/bin/sh\nexec '"+fake+"'\n"), 0o700),
		os.Symlink(dir, at(elsewhere, "dir")), os.Symlink(program, at(elsewhere, "shim")), os.Symlink(fake, at(elsewhere, "link-out-of-it")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{fake, at(dir, "link-to-link"), at(dir, "copy"), at(dir, "script"), at(elsewhere, "dir/fake")} {
		if out := askVersion(t, path); !strings.Contains(out, "supportedVersions") {
			t.Errorf("%s is not the delegate: %s", path, out)
		}
	}
	for _, path := range []string{program, at(elsewhere, "shim"), at(elsewhere, "link-out-of-it")} {
		if out := askVersion(t, path); out != reached {
			t.Errorf("%s is taken over: %s", path, out)
		}
	}
	if out := askVersion(t, fake, "argument"); out != reached {
		t.Errorf("a program with an argument is taken over: %s", out)
	}
}

func TestLinkNamesWhatIsMissing(t *testing.T) {
	if err := Link(t.TempDir(), "fake", "/nonexistent/delegate"); err == nil || !strings.Contains(err.Error(), "/nonexistent/delegate") {
		t.Errorf("err = %v", err)
	}
}

func TestObserver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	cmd := Observer("", path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); err != nil || line != "observing\n" {
		t.Errorf("%q, %v", line, err)
	}
	_ = stdin.Close()
	var seen Observation
	if err := json.NewDecoder(out).Decode(&seen); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || seen.Samples == 0 || seen.Seen != seen.Samples || seen.Modes["0640"] != seen.Seen {
		t.Errorf("%+v, %v", seen, err)
	}
}
