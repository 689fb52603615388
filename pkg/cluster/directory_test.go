// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// logged is a log that a test can read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func open(t *testing.T, dir string) (*Directory, *logged) {
	t.Helper()
	l := &logged{}
	d, err := OpenDirectory(dir, slog.New(slog.NewTextHandler(l, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return d, l
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func podManifest(name, note string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\n  annotations: {note: " + note + "}\n"
}

func note(t *testing.T, d *Directory, name string) string {
	t.Helper()
	p, err := d.Pod(t.Context(), "default", name)
	if errors.Is(err, ErrNotFound) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Annotations["note"]
}

func TestLookUpSeesEveryChange(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, dir)
	expect := func(want, after string) {
		t.Helper()
		if got := note(t, d, "a"); got != want {
			t.Fatalf("after %s: note is %q, want %q", after, got, want)
		}
	}
	file := filepath.Join(dir, "a.yaml")
	expect("none", "opening an empty directory")
	for i := range 50 {
		// The same length within a clock tick: size and times may not change.
		n := string([]byte{'a' + byte(i%26), 'x'})
		write(t, file, podManifest("a", n))
		expect(n, "writing in place")
	}
	write(t, filepath.Join(dir, ".new"), podManifest("a", "renamed"))
	expect("xx", "writing a hidden file")
	if err := os.Rename(filepath.Join(dir, ".new"), file); err != nil {
		t.Fatal(err)
	}
	expect("renamed", "an atomic replacement")
	write(t, file+"~", podManifest("a", "backup"))
	write(t, filepath.Join(dir, "a.txt"), podManifest("a", "text"))
	expect("renamed", "writing files that are no manifests")
	write(t, file, "kind: [")
	expect("none", "breaking the file")
	write(t, file, podManifest("a", "repaired"))
	expect("repaired", "repairing it")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("none", "removing it")
}

func TestLookUpFollowsLinksOfMountedConfiguration(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"..1", "..2"} {
		if err := os.Mkdir(filepath.Join(dir, v), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, v, "a.yaml"), podManifest("a", "v"+strings.Trim(v, ".")))
	}
	link := func(target, name string) {
		t.Helper()
		temp := filepath.Join(dir, ".link")
		if err := errors.Join(os.Symlink(target, temp), os.Rename(temp, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/a.yaml", "a.yaml")
	d, l := open(t, dir)
	if got := note(t, d, "a"); got != "v1" {
		t.Fatalf("got %q", got)
	}
	link("..2", "..data")
	if got := note(t, d, "a"); got != "v2" {
		t.Fatalf("got %q after the link was turned", got)
	}
	link("nowhere", "..data")
	if got := note(t, d, "a"); got != "none" || strings.Count(l.String(), "a.yaml") != 1 {
		t.Fatalf("got %q, log %s", got, l)
	}
}

func TestProblemsAreLoggedOncePerChange(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	write(t, bad, "kind: Pod\n---\n"+podManifest("neighbour", "here"))
	write(t, filepath.Join(dir, "good.json"), `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"other","annotations":{"note":"there"}}}`)
	d, l := open(t, dir)
	for range 3 {
		if a, b := note(t, d, "neighbour"), note(t, d, "other"); a != "here" || b != "there" {
			t.Fatalf("neighbours are %q, %q", a, b)
		}
	}
	expect := func(times int, text string) {
		t.Helper()
		if got := strings.Count(l.String(), text); got != times {
			t.Fatalf("logged %d times, want %d: %s\n%s", got, times, text, l)
		}
	}
	expect(1, bad+":1: Pod has apiVersion")
	write(t, bad, "\nkind: Pod\n---\n"+podManifest("neighbour", "here"))
	d.refresh()
	expect(1, bad+":2: Pod has apiVersion")

	write(t, filepath.Join(dir, "twin.yaml"), podManifest("other", "twin"))
	for range 3 {
		if got := note(t, d, "other"); got != "there" {
			t.Fatalf("the second definition counts: %q", got)
		}
	}
	expect(1, filepath.Join(dir, "twin.yaml")+":1: Pod default/other is defined already at "+filepath.Join(dir, "good.json")+":1")
	if err := os.Remove(filepath.Join(dir, "good.json")); err != nil {
		t.Fatal(err)
	}
	if got := note(t, d, "other"); got != "twin" {
		t.Fatalf("got %q after the first definition is gone", got)
	}

	write(t, filepath.Join(dir, "huge.yaml"), strings.Repeat("#", maxManifest+1))
	d.refresh()
	d.refresh()
	expect(1, "huge.yaml: larger than 4 MiB")
}

func TestOpenDirectoryRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	for _, dir := range []string{"", file} {
		if _, err := OpenDirectory(dir, nil); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%q: got %v", dir, err)
		}
	}
}

func TestMissingDirectoryIsNotReady(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	d, _ := open(t, dir)
	if got := d.Waiting(); got != "directory "+dir+", which does not exist yet" {
		t.Errorf("waiting for %q", got)
	}
	select {
	case <-d.Ready():
		t.Error("ready without a directory")
	default:
	}
	if _, err := d.Pod(t.Context(), "default", "a"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("a pod that nobody can know of: got %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Definition(t.Context(), "default", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	<-d.Ready()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if got := d.Waiting(); !strings.Contains(got, "any more") {
		t.Errorf("waiting for %q", got)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := d.Pod(ended, "default", "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended request: got %v", err)
	}
}

func TestRunFollows(t *testing.T) {
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	d, l := open(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()

	g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	g.Eventually(d.Ready(), 5*time.Second).Should(BeClosed())
	write(t, filepath.Join(dir, "bad.yaml"), "kind: Pod\n")
	g.Eventually(l.String, 5*time.Second).Should(ContainSubstring("bad.yaml:1: Pod has apiVersion"))

	// The directory is exchanged for another one.
	g.Expect(os.Rename(dir, dir+".old")).To(Succeed())
	g.Eventually(l.String, 5*time.Second).Should(ContainSubstring("does not exist any more"))
	g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	write(t, filepath.Join(dir, "worse.yaml"), "kind: [\n")
	g.Eventually(l.String, 5*time.Second).Should(ContainSubstring("worse.yaml:"))

	// Its parents go, and come back.
	g.Expect(os.RemoveAll(filepath.Dir(filepath.Dir(dir)))).To(Succeed())
	g.Eventually(func() int { return strings.Count(l.String(), "does not exist any more") }, 5*time.Second).Should(Equal(2))
	g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	write(t, filepath.Join(dir, "worst.yaml"), "- 1\n")
	g.Eventually(l.String, 5*time.Second).Should(ContainSubstring("worst.yaml:1:"))

	stop()
	g.Eventually(done, 5*time.Second).Should(Receive(BeNil()))
}

func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), podManifest("a", "x"))
	d, _ := open(t, dir)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				p, err := d.Pod(t.Context(), "default", "a")
				if err != nil {
					t.Error(err)
					return
				}
				p.Annotations["note"] = "mine" // a caller's own copy
				if err := d.PublishStatus(t.Context(), p, []NetworkStatus{{Name: "n"}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := note(t, d, "a"); got != "x" {
		t.Errorf("a caller changed the index: %q", got)
	}
}
