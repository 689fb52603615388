// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

func TestAuxiliaryChainComesLast(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("10-main.conflist", `{"cniVersion":"1.0.0","name":"main","plugins":[{"type":"bridge"}]}`)
	p := NewPlanner(Options{ClusterNetwork: filepath.Join(dir, "10-main.conflist"), AuxiliaryChain: "aux"}, nil)
	pod := &cluster.Pod{Namespace: "ns", Name: "p"}
	plan, err := p.Plan(t.Context(), pod, "eth0", nil)
	if err != nil || len(plan) != 1 {
		t.Fatalf("without plugins: %v, %v", plan, err)
	}
	write("aux/10-tuning.conf", `{"name":"x","type":"tuning","sysctl":{"a":"1"}}`)
	plan, err = p.Plan(t.Context(), pod, "eth0", nil)
	if err != nil || len(plan) != 2 {
		t.Fatalf("with one: %v, %v", plan, err)
	}
	if got := plan[1]; got.Network != "aux" || got.Interface != "net1" || !strings.Contains(string(got.Config), `{"type":"thicket-passthrough"},{"name":"x","type":"tuning"`) {
		t.Errorf("the chain is %s as %s: %s", got.Network, got.Interface, got.Config)
	}
	p = NewPlanner(Options{ClusterNetwork: "main", ConfDir: dir, AuxiliaryChain: "aux"}, nil)
	if _, err := p.withChain(nil); err == nil || !strings.Contains(err.Error(), "must be a file") {
		t.Errorf("beside a name: %v", err)
	}
}

func TestOneDefaultRoute(t *testing.T) {
	v4, v6 := net.ParseIP("10.0.0.1"), net.ParseIP("fd00::1")
	plan := []Delegate{{Definition: "a"}, {Definition: "b", DefaultRoute: []net.IP{v4, v6}}, {Definition: "c"}}
	if err := oneDefaultRoute(plan); err != nil {
		t.Error(err)
	}
	plan[1].DefaultRoute = append(plan[1].DefaultRoute, net.ParseIP("10.0.0.2"))
	if err := oneDefaultRoute(plan); err == nil || !strings.Contains(err.Error(), "10.0.0.2") || !strings.Contains(err.Error(), "network b") {
		t.Errorf("two gateways of a family: %v", err)
	}
	plan[1].DefaultRoute = []net.IP{v4}
	for _, other := range [][]net.IP{{v4}, {v6}, {}} {
		plan[2].DefaultRoute = other
		if err := oneDefaultRoute(plan); err == nil || !strings.Contains(err.Error(), "network b") || !strings.Contains(err.Error(), "network c") {
			t.Errorf("two networks, the second by %v: %v", other, err)
		}
	}
}
