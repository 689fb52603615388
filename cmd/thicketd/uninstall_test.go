// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// TestUninstall takes away what install put there and a daemon generated, and
// nothing else.
func TestUninstall(t *testing.T) {
	g := NewWithT(t)
	source, dest, conf := t.TempDir(), t.TempDir(), t.TempDir()
	build := exec.Command("go", "build", "-o", source+"/", "../thicket-shim", "../thicket-passthrough")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), "%s", out)
	g.Expect(install([]string{"--dest", dest, "--shim", filepath.Join(source, shimName)}, io.Discard, io.Discard)).To(Succeed())
	write := func(path, content string) { g.Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed()) }
	write(filepath.Join(dest, "bridge"), "")
	write(filepath.Join(conf, "10-net.conflist"), `{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"bridge"}]}`)
	write(filepath.Join(conf, "00-multus.conf"), `{"cniVersion":"1.0.0","name":"multus-cni-network","type":"thicket-shim"}`)
	args := []string{"--dest", dest, "--conf-dir", conf}

	aside := filepath.Join(dest, chainPlugin)
	g.Expect(os.Rename(aside, aside+".away")).To(Succeed())
	write(aside, "#!/bin/sh\n")
	g.Expect(uninstall(args, io.Discard, io.Discard)).To(MatchError(ContainSubstring(aside + " is not Thicket's")))
	g.Expect(names(g, dest)).To(ConsistOf(shimName, chainPlugin, chainPlugin+".away", "bridge"))
	g.Expect(names(g, conf)).To(ConsistOf("00-multus.conf", "10-net.conflist"), "nothing is removed when a part is not ours")
	g.Expect(os.Rename(aside+".away", aside)).To(Succeed())

	var said strings.Builder
	g.Expect(uninstall(args, &said, io.Discard)).To(Succeed())
	g.Expect(names(g, dest)).To(ConsistOf("bridge"))
	g.Expect(names(g, conf)).To(ConsistOf("10-net.conflist"))
	g.Expect(said.String()).To(ContainSubstring("00-multus.conf"))
	g.Expect(uninstall(args, io.Discard, io.Discard)).To(Succeed(), "again")

	g.Expect(uninstall([]string{"--conf-dir", conf}, io.Discard, io.Discard)).To(MatchError(ContainSubstring("--dest")))
	g.Expect(uninstall(append(args, "surplus"), io.Discard, io.Discard)).To(MatchError(ContainSubstring("surplus")))
}
