// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBinaryIsAll runs a copy of the built program from a directory that has
// nothing else but a copied target file: delegates and observers are the program
// itself.
func TestBinaryIsAll(t *testing.T) {
	dir := t.TempDir()
	program, err := os.ReadFile(filepath.Join(root, "bin/thicket-conformance"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "installed"), program, 0o700); err != nil {
		t.Fatal(err)
	}
	target, err := os.ReadFile(filepath.Join(root, "conformance/targets/thicket.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	target = regexp.MustCompile(`(?m)^root: .*$`).ReplaceAll(target, []byte("root: $${THICKET_TEST_ROOT}"))
	if err := os.WriteFile(filepath.Join(dir, "target.yaml"), target, 0o600); err != nil {
		t.Fatal(err)
	}
	// SOCK-04 observes, ADD-06 has delegates that fail.
	cmd := exec.CommandContext(t.Context(), "./installed", "run", "--target", "target.yaml", "--only", "SOCK-04,ADD-01,ADD-06")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "THICKET_TEST_ROOT="+absolute)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "3 passed, 0 failed, 0 skipped") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUndeclaredFeatures judges the built binaries by a target file that names
// fewer features than they have.
func TestUndeclaredFeatures(t *testing.T) {
	target, err := os.ReadFile(filepath.Join(root, "conformance/targets/thicket.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	target = regexp.MustCompile(`(?m)^root: .*$`).ReplaceAll(target, []byte("root: "+absolute))
	target = regexp.MustCompile(`(?m)^features: .*$`).ReplaceAll(target, []byte("features: [standalone, readyz, restart, kill, process, status]"))
	path := filepath.Join(t.TempDir(), "target.yaml")
	if err := os.WriteFile(path, target, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(root, "bin/thicket-conformance"),
		"run", "--target", path, "--only", "SOCK-01", "--strict-features").CombinedOutput()
	var exit *exec.ExitError
	want := "undeclared features: hotplug (the endpoint /delegate), gc (GC), nodeconf ("
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), want) {
		t.Errorf("%v; %q is not in\n%s", err, want, out)
	}
}
