// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenMakesAPrivateSocket(t *testing.T) {
	run := filepath.Join(t.TempDir(), "a", "run")
	s, err := listen(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{run: 0o700, s.path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(run); len(left) != 0 {
		t.Errorf("left in the run directory: %v", left)
	}
}

func TestListenReplacesAStaleSocketOnly(t *testing.T) {
	run := t.TempDir()
	if err := os.Chmod(run, 0o700); err != nil {
		t.Fatal(err)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(run, "multus.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(t.Context(), run); err == nil || !strings.Contains(err.Error(), "another daemon (pid") {
		t.Errorf("beside a daemon without a lock: %v", err)
	}
	stale.SetUnlinkOnClose(false)
	_ = stale.Close()
	s, err := listen(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	// What another daemon put at the path later is not this one's to remove.
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.path); err != nil {
		t.Errorf("another's file was removed: %v", err)
	}
}
