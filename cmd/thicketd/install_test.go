// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// script is a plugin that answers as it is told; shims are scripts here, so
// that faulty ones can be had.
func script(g *WithT, path, answer string) {
	g.Expect(os.WriteFile(path, []byte("#!/bin/sh\n"+answer+"\n"), 0o755)).To(Succeed())
}

const versions = `[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'`

func sum(g *WithT, path string) string {
	data, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func names(g *WithT, dir string) (all []string) {
	entries, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestInstall(t *testing.T) {
	g := NewWithT(t)
	source, dest := t.TempDir(), t.TempDir()
	shim := filepath.Join(source, "shim-1.2.3")
	script(g, shim, versions)
	var out strings.Builder
	g.Expect(install([]string{"--dest", dest, "--shim", shim}, &out, io.Discard)).To(Succeed())
	g.Expect(names(g, dest)).To(ConsistOf(shimName), "no passthrough plugin stands beside the shim")

	script(g, filepath.Join(source, chainPlugin), versions+"\n# another one")
	out.Reset()
	g.Expect(install([]string{"--dest", dest, "--shim", shim}, &out, io.Discard)).To(Succeed())
	g.Expect(names(g, dest)).To(ConsistOf(shimName, chainPlugin))
	for _, p := range []struct{ name, source string }{{shimName, shim}, {chainPlugin, filepath.Join(source, chainPlugin)}} {
		target := filepath.Join(dest, p.name)
		g.Expect(sum(g, target)).To(Equal(sum(g, p.source)))
		g.Expect(out.String()).To(ContainSubstring(target + ", sha256 " + sum(g, target)))
		info, err := os.Stat(target)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode()).To(Equal(os.FileMode(0o755)))
	}
}

func TestInstallOverARunningFile(t *testing.T) {
	g := NewWithT(t)
	dest, sleep := t.TempDir(), "/bin/sleep"
	target := filepath.Join(dest, shimName)
	data, err := os.ReadFile(sleep)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(target, data, 0o755)).To(Succeed())
	// Named with coreutils' multi-call binaries in mind, which look at argv[0].
	running := exec.Command(target, "600")
	running.Args[0] = "sleep"
	g.Expect(running.Start()).To(Succeed())
	defer func() { _ = running.Wait() }()
	defer func() { _ = running.Process.Kill() }()
	g.Expect(os.WriteFile(target, nil, 0o755)).To(MatchError(ContainSubstring("text file busy")), "writing in place would not do")

	shim := filepath.Join(t.TempDir(), shimName)
	script(g, shim, versions)
	g.Expect(install([]string{"--dest", dest, "--shim", shim}, io.Discard, io.Discard)).To(Succeed())
	g.Expect(sum(g, target)).To(Equal(sum(g, shim)))
}

func TestInstallRefuses(t *testing.T) {
	g := NewWithT(t)
	dest := t.TempDir()
	good := filepath.Join(t.TempDir(), shimName)
	script(g, good, versions)
	g.Expect(install([]string{"--dest", dest, "--shim", good}, io.Discard, io.Discard)).To(Succeed())
	before := sum(g, filepath.Join(dest, shimName))

	dir := t.TempDir()
	faulty := func(name, answer string) string {
		path := filepath.Join(dir, name)
		script(g, path, answer)
		return path
	}
	broken := filepath.Join(dir, "binary")
	g.Expect(os.WriteFile(broken, []byte("\x7fELF for another machine"), 0o755)).To(Succeed())
	for _, tt := range []struct {
		args []string
		says []string
	}{
		{[]string{"--shim", good}, []string{"--dest"}},
		{[]string{"--dest", dest, "surplus"}, []string{"surplus"}},
		{[]string{"--dest", dest, "--shim", dir + "/missing"}, []string{dir + "/missing", "--shim"}},
		{[]string{"--dest", dest + "/missing", "--shim", good}, []string{dest + "/missing", "--dest"}},
		{[]string{"--dest", dest, "--shim", broken}, []string{broken, "VERSION"}},
		{[]string{"--dest", dest, "--shim", faulty("fails", "exit 3")}, []string{"fails", "VERSION", "exit status 3"}},
		{[]string{"--dest", dest, "--shim", faulty("mute", "true")}, []string{"mute", "lists no versions"}},
		{[]string{"--dest", dest, "--shim", faulty("empty", `echo '{"supportedVersions":[]}'`)}, []string{"empty", "lists no versions"}},
	} {
		err := install(tt.args, io.Discard, io.Discard)
		for _, word := range tt.says {
			g.Expect(err).To(MatchError(ContainSubstring(word)), "%v", tt.args)
		}
		g.Expect(names(g, dest)).To(ConsistOf(shimName), "nothing is left of %v", tt.args)
		g.Expect(sum(g, filepath.Join(dest, shimName))).To(Equal(before), "what was installed before stays after %v", tt.args)
	}
}

func TestVerifyReadsTheCopyBack(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "copy")
	script(g, path, versions)
	other := sha256.New()
	_, _ = other.Write([]byte("what the source holds"))
	g.Expect(verify(path, other)).To(MatchError(ContainSubstring("damaged")))
}
