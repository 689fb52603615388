// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// script runs a script of this project in an environment that is changed.
func script(t *testing.T, environment []string, path string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	absolute, err := filepath.Abs(filepath.Join("..", "..", path))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	var out, errors strings.Builder
	cmd := exec.CommandContext(t.Context(), absolute, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = &out, &errors
	err = cmd.Run()
	return out.String(), errors.String(), err
}

// TestMissing: a machine that lacks everything is told so in one line, with the
// command that brings it, and not one program at a time.
func TestMissing(t *testing.T) {
	g := NewWithT(t)
	bare := t.TempDir()
	for _, program := range []string{"env", "bash", "awk", "dirname", "id"} {
		path, err := exec.LookPath(program)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.Symlink(path, filepath.Join(bare, program))).To(Succeed())
	}
	environment := []string{"PATH=" + bare, "GO=go"}
	_, said, err := script(t, environment, "kind/missing")
	g.Expect(err).To(HaveOccurred())
	g.Expect(strings.Split(strings.TrimSpace(said), "\n")).To(HaveLen(1), said)
	g.Expect(said).To(And(ContainSubstring("Go 1."), ContainSubstring("docker,"), ContainSubstring("a static busybox")))
	g.Expect(said).To(ContainSubstring("apt-get install -y docker.io busybox-static"))

	packages, _, err := script(t, environment, "kind/missing", "--packages")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Fields(packages)).To(ContainElements("docker.io", "busybox-static"))
}

// TestNodeImageNeedsItsModule: without the sources of kind there is no node
// image, and no name of one. An answer may be empty, as "go list" gives it for a
// module that was never downloaded.
func TestNodeImageNeedsItsModule(t *testing.T) {
	g := NewWithT(t)
	silent := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(silent, "go"), []byte("#!/bin/sh\n"), 0o700)).To(Succeed())
	name, said, err := script(t, []string{"PATH=" + silent + ":" + os.Getenv("PATH"), "GO="}, "kind/node/image", "--name")
	g.Expect(err).To(HaveOccurred())
	g.Expect(name).To(BeEmpty())
	g.Expect(said).To(ContainSubstring("the sources of sigs.k8s.io/kind are missing"))
}
