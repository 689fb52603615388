// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func del(container, ifName string) *Request {
	return &Request{Config: []byte(`{"name":"n"}`), Env: map[string]string{
		"CNI_COMMAND": "DEL", "CNI_CONTAINERID": container, "CNI_IFNAME": ifName, "CNI_NETNS": "", "CNI_ARGS": "A=<b>"}}
}

func TestPendingRoundTrip(t *testing.T) {
	dir := PendingDir(filepath.Join(t.TempDir(), "lib", "cni"))
	want := del("c1", "eth0")
	for range 2 {
		if err := RecordPending(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := PendingFiles(dir)
	if err != nil || !reflect.DeepEqual(paths, []string{filepath.Join(dir, "c1:eth0.json")}) {
		t.Fatalf("got %q, %v", paths, err)
	}
	got, err := ReadPending(paths[0])
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	content, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if posted, _ := json.Marshal(want); string(content) != string(posted) {
		t.Errorf("recorded %s, posted %s", content, posted)
	}
	for path, mode := range map[string]os.FileMode{paths[0]: 0o600, dir: 0o700, filepath.Dir(dir): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %o", path, info.Mode(), err, mode)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v beside the record", entries, err)
	}
}

func TestPendingFilesIgnoresWhatIsNoRecord(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".1-2", ".c:eth0.json", "c:eth0.json.failed", "b:eth0.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := PendingFiles(dir)
	if err != nil || !reflect.DeepEqual(paths, []string{filepath.Join(dir, "b:eth0.json")}) {
		t.Errorf("got %q, %v", paths, err)
	}
	if paths, err := PendingFiles(filepath.Join(dir, "missing")); err != nil || len(paths) != 0 {
		t.Errorf("missing directory: got %q, %v", paths, err)
	}
	if _, err := PendingFiles(filepath.Join(dir, "b:eth0.json")); err == nil {
		t.Error("a file passed for a directory")
	}
}

func TestPendingNames(t *testing.T) {
	long := strings.Repeat("a", 300)
	names := map[string]string{}
	for _, r := range []*Request{del("a", "b_c"), del("a_b", "c"), del(long, "eth0"), del(long, "eth1"), del(long+"b", "eth0"),
		del(strings.Repeat("a", 190), "eth0"), del(strings.Repeat("a", 191), "eth0")} {
		name, err := pendingName(r)
		if err != nil || len(name) > maxPendingName || !strings.HasSuffix(name, ".json") || strings.ContainsAny(name, "/\x00") {
			t.Errorf("%v: name %q, %v", r.Env, name, err)
		}
		if other, taken := names[name]; taken {
			t.Errorf("%q is shared with %q", name, other)
		}
		names[name] = r.Env["CNI_CONTAINERID"] + ":" + r.Env["CNI_IFNAME"]
	}
}

func TestRecordPendingRefusesRequests(t *testing.T) {
	add := del("c", "eth0")
	add.Env["CNI_COMMAND"] = "ADD"
	for name, test := range map[string]struct {
		r    *Request
		text string
	}{
		"another command":  {add, "CNI_COMMAND"},
		"path as id":       {del("../c", "eth0"), "CNI_CONTAINERID"},
		"no id":            {del("", "eth0"), "CNI_CONTAINERID"},
		"path as if name":  {del("c", "../e"), "CNI_IFNAME"},
		"colon in if name": {del("c", "a:b"), "CNI_IFNAME"},
		"no if name":       {del("c", ""), "CNI_IFNAME"},
		"no environment":   {&Request{}, "CNI_COMMAND"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "pending")
			err := RecordPending(dir, test.r)
			if err == nil || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v, want the directory and %q", err, test.text)
			}
			if _, err := os.Lstat(dir); !os.IsNotExist(err) {
				t.Errorf("the directory was made all the same: %v", err)
			}
		})
	}
}

func TestRecordPendingRefusesDirectories(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(dir, other string) error
		text    string
	}{
		"symlink":        {func(dir, other string) error { return os.Symlink(other, dir) }, "not a directory"},
		"file":           {func(dir, _ string) error { return os.WriteFile(dir, nil, 0o600) }, "not a directory"},
		"open to others": {func(dir, _ string) error { return mkdir(dir, 0o777) }, "0777"},
		"open to group":  {func(dir, _ string) error { return mkdir(dir, 0o770) }, "0770"},
		"of another":     {func(dir, _ string) error { return chown(dir) }, "belong"},
		"below a file":   {func(dir, _ string) error { return belowFile(dir) }, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "of another" && os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			top := t.TempDir()
			dir, other := filepath.Join(top, "cni", "pending"), filepath.Join(top, "other")
			if err := mkdir(other, 0o700); err != nil {
				t.Fatal(err)
			}
			if name != "below a file" {
				if err := mkdir(filepath.Dir(dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.prepare(dir, other); err != nil {
				t.Fatal(err)
			}
			err := RecordPending(dir, del("c", "eth0"))
			if err == nil || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v, want the directory and %q", err, test.text)
			}
			if entries, err := os.ReadDir(other); err != nil || len(entries) != 0 {
				t.Errorf("written through the link: %v, %v", entries, err)
			}
		})
	}
}

// mkdir makes a directory with exactly this mode, whatever the umask.
func mkdir(dir string, mode os.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

func chown(dir string) error {
	if err := mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, 65534, 65534)
}

func belowFile(dir string) error { return os.WriteFile(filepath.Dir(dir), nil, 0o600) }

func TestRecordPendingKeepsTheModeOfADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pending")
	if err := mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := RecordPending(dir, del("c", "eth0")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "c:eth0.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record: got %v, %v", info, err)
	}
}

func TestRecordPendingReplacesALinkInsteadOfFollowingIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pending")
	victim := filepath.Join(filepath.Dir(dir), "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "c:eth0.json")); err != nil {
		t.Fatal(err)
	}
	if err := RecordPending(dir, del("c", "eth0")); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(victim); err != nil || string(content) != "mine" {
		t.Errorf("the link's target holds %q, %v", content, err)
	}
	if _, err := ReadPending(filepath.Join(dir, "c:eth0.json")); err != nil {
		t.Error(err)
	}
}

func TestRecordPendingReportsThatTheNameIsTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pending")
	for _, path := range []string{dir, filepath.Join(dir, "c:eth0.json")} {
		if err := mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := RecordPending(dir, del("c", "eth0")); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want an error that names %s", err, dir)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestReadPendingRefuses(t *testing.T) {
	good, err := json.Marshal(del("c", "eth0"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(content []byte, mode os.FileMode) func(string) error {
		return func(path string) error {
			if err := os.WriteFile(path, content, mode); err != nil {
				return err
			}
			return os.Chmod(path, mode)
		}
	}
	for name, test := range map[string]struct {
		file    string
		prepare func(string) error
		text    string
	}{
		"missing":         {"c:eth0.json", func(string) error { return nil }, "no such file"},
		"damaged":         {"c:eth0.json", write(good[:20], 0o600), "damaged"},
		"empty":           {"c:eth0.json", write(nil, 0o600), "damaged"},
		"no DEL":          {"c:eth0.json", write([]byte(`{"env":{"CNI_COMMAND":"ADD"}}`), 0o600), "only a DEL"},
		"other's name":    {"d:eth0.json", write(good, 0o600), "another attachment"},
		"others write":    {"c:eth0.json", write(good, 0o622), "others may write"},
		"symlink":         {"c:eth0.json", func(path string) error { return os.Symlink("/dev/null", path) }, "symbolic link"},
		"FIFO":            {"c:eth0.json", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "not a regular file"},
		"directory":       {"c:eth0.json", func(path string) error { return os.Mkdir(path, 0o700) }, "not a regular file"},
		"enormous (hole)": {"c:eth0.json", enormous, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			if err := test.prepare(path); err != nil {
				t.Fatal(err)
			}
			_, err := ReadPending(path)
			if err == nil || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want the path and %q", err, test.text)
			}
		})
	}
}

func enormous(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, maxPendingSize+1)
}
