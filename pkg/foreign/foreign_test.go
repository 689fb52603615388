// SPDX-License-Identifier: Apache-2.0

package foreign

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, make := range map[string]func() error{
		"file":   func() error { return os.WriteFile(path("file"), []byte("text"), 0o600) },
		"large":  func() error { return os.WriteFile(path("large"), []byte("12345"), 0o600) },
		"huge":   func() error { return os.WriteFile(path("huge"), nil, 0o600) },
		"link":   func() error { return os.Symlink("file", path("link")) },
		"fifo":   func() error { return syscall.Mkfifo(path("fifo"), 0o600) },
		"socket": func() error { return syscall.Mknod(path("socket"), syscall.S_IFSOCK|0o600, 0) },
		"dir":    func() error { return os.Mkdir(path("dir"), 0o700) },
		"zero":   func() error { return os.Symlink("/dev/zero", path("zero")) },
	} {
		if err := make(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := os.Truncate(path("huge"), 1<<40); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(path("file"), 4, NoLinks); err != nil || string(data) != "text" {
		t.Errorf("a file: %q, %v", data, err)
	}
	if data, err := ReadFile(path("link"), 4, FollowLinks); err != nil || string(data) != "text" {
		t.Errorf("a link that is followed: %q, %v", data, err)
	}
	for _, name := range []string{"large", "huge", "link", "fifo", "socket", "dir", "zero", "missing"} {
		if data, err := ReadFile(path(name), 4, NoLinks); err == nil {
			t.Errorf("%s was read: %q", name, data)
		}
	}
	for _, name := range []string{"fifo", "socket", "zero", "dir"} {
		if data, err := ReadFile(path(name), 4, FollowLinks); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s was read: %q, %v", name, data, err)
		}
	}
	if _, err := ReadFile(path("link"), 4, NoLinks); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link that is not followed: %v", err)
	}
}
