// SPDX-License-Identifier: Apache-2.0

package powercut

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mounted is a Disk of a test's own.
func mounted(t *testing.T) (*Disk, string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a file system is mounted by root alone")
	}
	if _, err := os.Stat(Device); err != nil {
		t.Skipf("no FUSE: %v; load the kernel's module fuse", err)
	}
	at := t.TempDir()
	d, err := Mount(at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, at
}

// found are the contents that a file may have when power is lost after so many
// changes; "-" means that it is not there.
func found(states []*State, after int, name string) []string {
	var all []string
	for _, s := range states {
		if s.After != after {
			continue
		}
		text := "-"
		if e, ok := s.entries[name]; ok {
			text = strings.ReplaceAll(string(e.data), "\x00", "0")
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

// TestReplacedFile replaces a file in the ways that programs have, and looks what
// a power cut may leave of it at the end.
func TestReplacedFile(t *testing.T) {
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	syncPath := func(t *testing.T, path string) {
		t.Helper()
		f, err := os.Open(path)
		check(t, err)
		check(t, f.Sync())
		check(t, f.Close())
	}
	for _, c := range []struct {
		name    string
		replace func(t *testing.T, dir string)
		want    []string
	}{
		{"in place", func(t *testing.T, dir string) {
			check(t, os.WriteFile(filepath.Join(dir, "f"), []byte("new"), 0o600))
		}, []string{"", "000", "new", "old"}},
		{"renamed without fsync", func(t *testing.T, dir string) {
			check(t, os.WriteFile(filepath.Join(dir, "t"), []byte("new"), 0o600))
			check(t, os.Rename(filepath.Join(dir, "t"), filepath.Join(dir, "f")))
		}, []string{"", "000", "new", "old"}},
		{"renamed after fsync", func(t *testing.T, dir string) {
			check(t, os.WriteFile(filepath.Join(dir, "t"), []byte("new"), 0o600))
			syncPath(t, filepath.Join(dir, "t"))
			check(t, os.Rename(filepath.Join(dir, "t"), filepath.Join(dir, "f")))
		}, []string{"new", "old"}},
		{"and the directory synced", func(t *testing.T, dir string) {
			check(t, os.WriteFile(filepath.Join(dir, "t"), []byte("new"), 0o600))
			syncPath(t, filepath.Join(dir, "t"))
			check(t, os.Rename(filepath.Join(dir, "t"), filepath.Join(dir, "f")))
			syncPath(t, dir)
		}, []string{"new"}},
		{"appended", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "f"), os.O_WRONLY|os.O_APPEND, 0)
			check(t, err)
			_, err = f.WriteString("+1")
			check(t, err)
			_, err = f.WriteString("+2")
			check(t, err)
			check(t, f.Close())
		}, []string{"old", "old+1+2", "old00+2", "old0000"}},
		{"removed", func(t *testing.T, dir string) {
			check(t, os.Remove(filepath.Join(dir, "f")))
		}, []string{"-", "old"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, dir := mounted(t)
			check(t, os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600))
			syncPath(t, filepath.Join(dir, "f"))
			syncPath(t, dir)
			c.replace(t, dir)
			changes := d.Changes()
			if got := found(States(changes), len(changes), "f"); !slices.Equal(got, c.want) {
				t.Errorf("a power cut leaves %q, not %q, of:\n%s", got, c.want, list(changes))
			}
		})
	}
}

func list(changes []*Change) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// TestWrittenState makes a state with a large write of which one block is there.
func TestWrittenState(t *testing.T) {
	d, dir := mounted(t)
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "below", "f"), []byte(strings.Repeat("x", 2*block)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("f", filepath.Join(dir, "below", "l")); err != nil {
		t.Fatal(err)
	}
	states := States(d.Changes())
	want := strings.Repeat("x", block) + strings.Repeat("\x00", block)
	at := slices.IndexFunc(states, func(s *State) bool {
		e, ok := s.entries["below/f"]
		_, both := s.entries["below/l"]
		return ok && both && string(e.data) == want
	})
	if at < 0 {
		t.Fatalf("no state with one block among %d", len(states))
	}
	to := t.TempDir()
	if err := states[at].Write(to); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(to, "below", "l")); err != nil || string(data) != want {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
