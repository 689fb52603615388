// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPublishStatus(t *testing.T) {
	dir := t.TempDir()
	d, l := open(t, dir)
	pod := &Pod{Namespace: "ns", Name: "p.q", UID: "u"}
	path := filepath.Join(dir, "status", "ns_p.q.json")

	d.WithdrawStatus(Withdrawal{Pod: pod})
	if l.String() != "" {
		t.Errorf("removing what was never there: %s", l)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("the status directory was made for nothing")
	}
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	status := []NetworkStatus{
		{Name: "default", Interface: "eth0", IPs: []string{"10.0.0.2"}, Mac: "02:00:00:00:00:01", MTU: 1500, Default: true, Gateway: []string{"10.0.0.1"},
			DNS: DNS{Nameservers: []string{"10.0.0.53"}, Domain: "d", Search: []string{"s"}, Options: []string{"o"}}},
		{Name: "ns/n", Interface: "net1", DeviceInfo: json.RawMessage(`{"type":"pci"}`)},
	}
	if err := d.PublishStatus(t.Context(), pod, status); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"namespace":"ns","name":"p.q","uid":"u","networks":[` +
		`{"name":"default","interface":"eth0","ips":["10.0.0.2"],"mac":"02:00:00:00:00:01","mtu":1500,"default":true,` +
		`"dns":{"nameservers":["10.0.0.53"],"domain":"d","search":["s"],"options":["o"]},"gateway":["10.0.0.1"]},` +
		`{"name":"ns/n","interface":"net1","dns":{},"device-info":{"type":"pci"}}]}`
	if flat := strings.Join(strings.Fields(string(got)), ""); flat != want {
		t.Errorf("got  %s\nwant %s", flat, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("more than the status is left: %v, %v", entries, err)
	}
	d.refresh()
	if l.String() != "" {
		t.Errorf("the status is read as a manifest: %s", l)
	}
	d.WithdrawStatus(Withdrawal{Pod: pod, Status: status})
	if _, err := os.Stat(path); err == nil {
		t.Error("the removed status is still there")
	}
}

func TestPublishStatusRefuses(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, dir)
	status := []NetworkStatus{{Name: "n"}}
	for _, pod := range []*Pod{{Namespace: "..", Name: "a"}, {Namespace: "a", Name: "../b"}, {Namespace: "a", Name: ""}} {
		if err := d.PublishStatus(t.Context(), pod, status); err == nil {
			t.Errorf("%+v was published", pod)
		}
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "status")); err != nil {
		t.Fatal(err)
	}
	pod := &Pod{Namespace: "a", Name: "b"}
	if err := d.PublishStatus(t.Context(), pod, status); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("written through a symlink: %v", err)
	}
	if entries, _ := os.ReadDir(elsewhere); len(entries) > 0 {
		t.Errorf("written through a symlink: %v", entries)
	}
}

// TestPublishStatusWaitsForNobody: what lies where a status is written may be a
// pipe that nobody reads, or a link (SEC-15).
func TestPublishStatusWaitsForNobody(t *testing.T) {
	dir := t.TempDir()
	d, _ := open(t, dir)
	pod, status := &Pod{Namespace: "a", Name: "b"}, []NetworkStatus{{Name: "n"}}
	if err := d.PublishStatus(t.Context(), pod, status); err != nil {
		t.Fatal(err)
	}
	victim := filepath.Join(t.TempDir(), "victim")
	temp := filepath.Join(dir, "status", ".publishing")
	for _, odd := range []func() error{
		func() error { return syscall.Mkfifo(temp, 0o600) },
		func() error { return os.Symlink(victim, temp) },
	} {
		if err := odd(); err != nil {
			t.Fatal(err)
		}
		published := make(chan error, 1)
		go func() { published <- d.PublishStatus(context.WithoutCancel(t.Context()), pod, status) }()
		select {
		case err := <-published:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it waits for a reader of the pipe")
		}
	}
	if _, err := os.Lstat(victim); err == nil {
		t.Error("written through a link")
	}
}
