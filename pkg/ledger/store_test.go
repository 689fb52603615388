// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// open returns a Store that reads all records from their files.
func open(t *testing.T) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.kept = nil
	return s, filepath.Join(dir, directory)
}

func sample(id string) *Record {
	return &Record{
		ContainerID: id, State: StateAdding, Netns: "/var/run/netns/x", Interface: "eth0",
		Pod:  Pod{Namespace: "default", Name: "pod"},
		Args: [][2]string{{"K8S_POD_NAME", "pod"}},
		Attachments: []Attachment{{
			Network: "default", Definition: "default", Interface: "eth0", Default: true,
			Config: "{ \"name\":\"default\",\t\"plugins\":[{\"type\":\"a<b>&c\"}]}",
		}},
	}
}

func TestRecordRoundTripKeepsConfigBytes(t *testing.T) {
	s, dir := open(t)
	want := sample("c1")
	if err := s.Begin(want); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load("c1")
	if err != nil {
		t.Fatal(err)
	}
	if got.Attachments[0].Config != want.Attachments[0].Config {
		t.Errorf("config changed: %q", got.Attachments[0].Config)
	}
	info, err := os.Stat(filepath.Join(dir, "c1.json"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("record has mode %#o", info.Mode().Perm())
	}
	if err := s.Remove("c1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("c1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Remove: %v", err)
	}
}

func TestDamagedRecordsAreSetAside(t *testing.T) {
	for name, content := range map[string]string{
		"empty":        "",
		"truncated":    `{"schema":1,"containerID":"bad","sta`,
		"other id":     `{"schema":1,"containerID":"good","state":"added"}`,
		"later schema": `{"schema":99,"containerID":"bad","state":"added"}`,
		"bad state":    `{"schema":1,"containerID":"bad","state":"lost"}`,
		"bad ifname":   `{"schema":1,"containerID":"bad","state":"added","attachments":[{"interface":"../x","config":"{}"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := open(t)
			if err := s.Begin(sample("good")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "bad.json"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := s.Load("bad")
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				t.Fatalf("got %v, want a DamagedError", err)
			}
			kept, err := os.ReadFile(damaged.Kept)
			if err != nil || string(kept) != content {
				t.Errorf("kept %q, %v", kept, err)
			}
			if reason, err := os.ReadFile(damaged.Kept + ".reason"); err != nil || len(reason) == 0 {
				t.Errorf("reason %q, %v", reason, err)
			}
			again, err := Open(filepath.Dir(dir), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := again.Load("bad"); !errors.As(err, &damaged) {
				t.Errorf("second load, by another daemon: %v", err)
			}
			if err := s.Remove("bad"); err != nil {
				t.Error(err)
			}
			if _, err := s.Load("bad"); !errors.Is(err, ErrNotFound) {
				t.Errorf("after Remove: %v", err)
			}
			if ids, err := s.Containers(); err != nil || strings.Join(ids, " ") != "good" {
				t.Errorf("containers %v, %v", ids, err)
			}
		})
	}
}

func TestSymbolicLinksAreNotFollowed(t *testing.T) {
	s, dir := open(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"c1.json", ".c1.tmp"} {
		if err := os.Symlink(outside, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Load("c1"); err == nil {
		t.Error("a record was read through a symbolic link")
	}
	if err := s.Begin(sample("c1")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(outside); string(got) != "precious" {
		t.Errorf("written through a symbolic link: %q", got)
	}
}

func TestOpenRefusesWhatOthersCanWrite(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "elsewhere")
	if err := os.Mkdir(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, directory)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), directory) {
		t.Errorf("symbolic link: %v", err)
	}
	lax := t.TempDir()
	if err := os.Mkdir(filepath.Join(lax, directory), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(lax, directory), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(lax, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "0777") {
		t.Errorf("lax mode: %v", err)
	}
}

func TestContainerIDsNeverLeaveTheDirectory(t *testing.T) {
	s, _ := open(t)
	for _, id := range []string{"", "..", "../x", "a/b", ".hidden"} {
		if err := s.Begin(sample(id)); err == nil {
			t.Errorf("Begin(%q) succeeded", id)
		}
		if _, err := s.Load(id); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("Load(%q): %v", id, err)
		}
		if err := s.Remove(id); err == nil {
			t.Errorf("Remove(%q) succeeded", id)
		}
	}
}

// TestADamagedVersionIsReplacedByTheOneBefore is what a crash in the middle of
// a Save leaves, or a power cut after it.
func TestADamagedVersionIsReplacedByTheOneBefore(t *testing.T) {
	for name, spoil := range map[string]func(whole []byte, first int) []byte{
		"cut":    func(whole []byte, first int) []byte { return whole[:first+(len(whole)-first)/2] },
		"zeroed": func(whole []byte, first int) []byte { clear(whole[first:]); return whole },
		"more":   func(whole []byte, _ int) []byte { return append(whole, "{\n"...) },
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := open(t)
			path := filepath.Join(dir, "c1.json")
			r := sample("c1")
			must(t, s.Begin(r))
			begun, err := os.ReadFile(path)
			must(t, err)
			r.State = StateDeleting
			must(t, s.Save(r))
			whole, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, spoil(whole, len(begun)), 0o600))
			got, err := s.Load("c1")
			must(t, err)
			if got.State != StateAdded || len(got.Attachments) != len(sample("c1").Attachments) {
				t.Errorf("got %+v", got)
			}
			if kept, damaged := s.Count(); kept != 1 || damaged != 0 {
				t.Errorf("%d records, %d damaged", kept, damaged)
			}
			if again, err := s.Load("c1"); err != nil || again.State != StateAdded {
				t.Errorf("again: %+v, %v", again, err)
			}
			must(t, s.Remove("c1"))
			nothingButDirectories(t, dir)
		})
	}
}

func nothingButDirectories(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if !e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// TestARecordDoesNotGrowForEver is a DEL that fails again and again.
func TestARecordDoesNotGrowForEver(t *testing.T) {
	s, dir := open(t)
	r := sample("c1")
	must(t, s.Begin(r))
	r.State = StateDeleting
	for range 1000 {
		must(t, s.Save(r))
	}
	info, err := os.Stat(filepath.Join(dir, "c1.json"))
	must(t, err)
	if info.Size() > 3*maxSteps {
		t.Errorf("the file has %d bytes", info.Size())
	}
	if got, err := s.Load("c1"); err != nil || got.State != StateDeleting {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestADiskWithoutRoom keeps what was there, whole (RES-03).
func TestADiskWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("thicket-test", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // a removed record is freed a moment later
	s, err := Open(dir, slog.New(slog.DiscardHandler))
	must(t, err)
	r := sample("c1")
	must(t, s.Begin(r))
	t.Cleanup(func() { _, _ = s.root.Close(), s.cni.Close() })
	r.State, r.Attachments[0].Config = StateAdded, `{"plugins":[{"type":"t","x":"`+strings.Repeat("x", maxSteps/2)+`"}]}`
	if err := s.Save(r); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if err := s.Begin(r); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	other := sample("c2")
	other.Attachments = r.Attachments
	if err := s.Begin(other); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if got, err := s.Load("c1"); err != nil || got.State != StateAdding {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := s.Load("c2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	must(t, s.Remove("c1"))
	nothingButDirectories(t, filepath.Join(dir, directory))
}
