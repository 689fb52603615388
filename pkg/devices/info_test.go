// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o444); err != nil {
		t.Fatal(err)
	}
}

// The names are those of the specification's own library: device plugins and
// delegates use it.
func TestInfoNames(t *testing.T) {
	d := InfoDir("/d")
	if got, want := d.plugin("example.com/nic", "vfio/7"), "/d/dp/example.com-nic-vfio-7-device.json"; got != want {
		t.Errorf("the device plugin's file is %s, want %s", got, want)
	}
	if got, want := d.Delegate("ns/net", "c1", "net1"), "/d/cni/ns-net-c1_net1"; got != want {
		t.Errorf("the delegate's file is %s, want %s", got, want)
	}
}

func TestIsDelegate(t *testing.T) {
	for path, want := range map[string]bool{
		InfoDir("/d").Delegate("ns/net", "c1", "net1"): true,
		"/former/cni/ns-net-c1_net1":                   true,
		"/d/cni/ns-net-c1_net2":                        false,
		"/d/cni/ns-net-c2_net1":                        false,
		"/d/dp/ns-net-c1_net1":                         false,
		"/d/cni/ns-net-c1_net1/passwd":                 false,
		"cni/ns-net-c1_net1":                           false,
		"":                                             false,
	} {
		if got := IsDelegate(path, "c1", "net1"); got != want {
			t.Errorf("IsDelegate(%q) = %v", path, got)
		}
	}
}

func TestPrepare(t *testing.T) {
	d := InfoDir(t.TempDir())
	path := d.Delegate("ns/net", "c1", "net1")
	put(t, path, `{"type":"of another sandbox of this id"}`)
	put(t, d.plugin("x/nic", "1"), "{\n \"type\": \"pci\"}\n")

	if err := d.Prepare(path, "x/nic", "1"); err != nil {
		t.Fatal(err)
	}
	if info, err := Load(path); err != nil || string(info) != `{"type":"pci"}` {
		t.Errorf("the delegate finds %s, %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o444 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// A device that no plugin described, and one that no plugin knows.
	for _, resource := range []string{"x/ib", ""} {
		if err := d.Prepare(path, resource, "1"); err != nil {
			t.Fatal(err)
		}
		if info, err := Load(path); err != nil || info != nil {
			t.Errorf("resource %q: the delegate finds %s, %v", resource, info, err)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
}

// What lies in the way is replaced, never written through.
func TestPrepareSymlink(t *testing.T) {
	d := InfoDir(t.TempDir())
	path := d.Delegate("ns/net", "c1", "net1")
	put(t, d.plugin("x/nic", "1"), `{"type":"pci"}`)
	victim := filepath.Join(t.TempDir(), "victim")
	put(t, victim, "precious")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Fatal(err)
	}
	if err := d.Prepare(path, "x/nic", "1"); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
		t.Errorf("the link's target is now %q, %v", data, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"list": `[1]`, "null": `null`, "garbage": `{"type":`, "two": `{} {}`, "empty": "",
		"large": `{"type":"` + strings.Repeat("x", infoLimit) + `"}`,
	} {
		path := filepath.Join(dir, name)
		put(t, path, content)
		if info, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %s, %v", name, info, err)
		}
	}
	if info, err := Load(dir); err == nil {
		t.Errorf("a directory: %s", info)
	}
	if info, err := Load(filepath.Join(dir, "missing")); err != nil || info != nil {
		t.Errorf("a missing one: %s, %v", info, err)
	}
}
