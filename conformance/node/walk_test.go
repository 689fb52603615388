// SPDX-License-Identifier: Apache-2.0

package node

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestWalk removes what is yet to come, a directory and a file, and reads a file
// that has gone.
func TestWalk(t *testing.T) {
	root := t.TempDir()
	path := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"b", "d"} {
		if err := os.Mkdir(path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"a", "c", "d/e"} {
		if err := os.WriteFile(path(file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	err := Walk(root, func(at string, entry fs.DirEntry) error {
		seen = append(seen, filepath.Base(at))
		if entry.Name() == "a" {
			for _, gone := range []string{"b", "c"} {
				if err := os.Remove(path(gone)); err != nil {
					return err
				}
			}
		}
		_, err := os.Lstat(at)
		return err
	})
	if want := []string{filepath.Base(root), "a", "b", "c", "d", "e"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("%v, %v; want %v", seen, err, want)
	}
	if err := Walk(path("missing"), func(string, fs.DirEntry) error { return nil }); err == nil {
		t.Error("a root that is missing was accepted")
	}
}
