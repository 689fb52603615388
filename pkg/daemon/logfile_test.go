// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func TestLogFileIsRotated(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "logs", "daemon.log")
	size, backups, compress := 1, 2, false
	f, err := openLogFile(path, LogOptions{MaxSize: &size, MaxBackups: &backups, Compress: &compress})
	g.Expect(err).NotTo(HaveOccurred())
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 5 << 10 {
		_, err := f.Write(line)
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(f.Close()).To(Succeed())
	g.Eventually(func() []string { return names(g, filepath.Dir(path)) }, "10s").Should(HaveLen(3), "the file and two former ones")
	for _, name := range names(g, filepath.Dir(path)) {
		info, err := os.Stat(filepath.Join(filepath.Dir(path), name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Size()).To(BeNumerically("<=", 1<<20))
		g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
	}
}

func names(g *WithT, dir string) (all []string) {
	entries, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestLogFileIsAFile(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	target := filepath.Join(dir, "somebody-elses")
	g.Expect(os.WriteFile(target, []byte("kept"), 0o600)).To(Succeed())
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	g.Expect(os.Symlink(target, link)).To(Succeed())
	g.Expect(unix.Mkfifo(fifo, 0o600)).To(Succeed())
	for path, want := range map[string]string{link: "is a link", fifo: fifo, dir: dir} {
		_, err := openLogFile(path, LogOptions{})
		g.Expect(err).To(MatchError(ContainSubstring(want)))
	}
	g.Expect(os.ReadFile(target)).To(Equal([]byte("kept")))
}
