// SPDX-License-Identifier: Apache-2.0

package dirwatch

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is far more than any change takes to be told.
const patience = 10 * time.Second

func watch(t *testing.T, dirs ...string) *Watcher {
	t.Helper()
	w, err := New(slog.New(slog.DiscardHandler), dirs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func expectChange(t *testing.T, w *Watcher, after string, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	select {
	case _, open := <-w.Changed():
		if !open {
			t.Fatalf("closed after %s: %v", after, w.Err())
		}
	case <-time.After(patience):
		t.Fatalf("no change was told after %s", after)
	}
}

func TestDirectoriesComeAndGo(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "x/y/a"), filepath.Join(root, "b")
	if err := os.Mkdir(b, 0o755); err != nil {
		t.Fatal(err)
	}
	w := watch(t, a, b)
	file := func(path string) func() error {
		return func() error { return os.WriteFile(path, []byte("1"), 0o644) }
	}
	for range 3 {
		expectChange(t, w, "making parents and directory", func() error { return os.MkdirAll(a, 0o755) })
		expectChange(t, w, "a file in the new directory", file(filepath.Join(a, "f")))
		expectChange(t, w, "the file's removal", func() error { return os.Remove(filepath.Join(a, "f")) })
		expectChange(t, w, "a file in the other directory", file(filepath.Join(b, "f")))
		expectChange(t, w, "moving a parent away", func() error { return os.Rename(filepath.Join(root, "x"), filepath.Join(root, "moved")) })
		if err := os.RemoveAll(filepath.Join(root, "moved")); err != nil {
			t.Fatal(err)
		}
	}
	expectChange(t, w, "removing a directory", func() error { return os.RemoveAll(b) })
	expectChange(t, w, "making it again", func() error { return os.Mkdir(b, 0o755) })
	expectChange(t, w, "a file in it", file(filepath.Join(b, "f")))
}

func TestNeighboursAreNoChange(t *testing.T) {
	root := t.TempDir()
	w := watch(t, filepath.Join(root, "watched"))
	if w.concerns(filepath.Join(root, "other")) || w.concerns(filepath.Join(root, "watched2")) {
		t.Error("a parent's other files concern nobody")
	}
	if !w.concerns(root) || !w.concerns(filepath.Join(root, "watched", "f")) {
		t.Error("the way to the directory, and what is in it, does")
	}
}

func TestClose(t *testing.T) {
	w := watch(t, t.TempDir())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, open := <-w.Changed(); open || w.Err() != nil {
		t.Errorf("after Close: open %t, error %v", open, w.Err())
	}
}

func TestRefusal(t *testing.T) {
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	_, err := New(slog.New(slog.DiscardHandler), loop)
	if err == nil || !strings.Contains(err.Error(), loop) {
		t.Fatalf("a directory that cannot be looked at must be an error that names it: %v", err)
	}
}
