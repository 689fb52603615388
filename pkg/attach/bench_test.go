// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// instant is an execution that takes no time, so that what is left is the
// daemon's own.
type instant struct{ *version.PluginDecoder }

// ExecPlugin implements invoke.Exec.
func (instant) ExecPlugin(context.Context, string, []byte, []string) ([]byte, error) {
	return []byte(`{"cniVersion":"1.0.0","interfaces":[{"name":"bench0","sandbox":"/n"}],"ips":[{"interface":0,"address":"10.1.2.3/24"}]}`), nil
}

// FindInPath implements invoke.Exec.
func (instant) FindInPath(plugin string, _ []string) (string, error) { return "/" + plugin, nil }

// BenchmarkSandbox is one ADD and DEL of three networks without their delegates.
func BenchmarkSandbox(b *testing.B) {
	dir := b.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write("conf/main.conflist", `{"cniVersion":"1.0.0","name":"main","plugins":[{"type":"bridge"}]}`)
	write("cluster/pod.json", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"ns","annotations":{"k8s.v1.cni.cncf.io/networks":"a@bench1,a@bench2"}}}`)
	write("cluster/a.json", `{"apiVersion":"k8s.cni.cncf.io/v1","kind":"NetworkAttachmentDefinition","metadata":{"name":"a","namespace":"ns"},
		"spec":{"config":"{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"type\":\"macvlan\"}"}}`)
	log := slog.New(slog.DiscardHandler)
	c, err := cluster.OpenDirectory(filepath.Join(dir, "cluster"), log)
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = c.Run(b.Context()) }()
	<-c.Ready()
	store, err := ledger.Open(filepath.Join(dir, "cni"), log)
	if err != nil {
		b.Fatal(err)
	}
	e := New(Options{Cluster: c, Planner: network.NewPlanner(network.Options{ClusterNetwork: "main", ConfDir: filepath.Join(dir, "conf")}, c), Ledger: store,
		Exec: instant{&version.PluginDecoder{}}, BinDirs: []string{dir}, CacheDir: filepath.Join(dir, "cni"), Log: log})
	netns := filepath.Join(dir, "netns")
	mountedNetns(b, netns)
	r := &Request{ContainerID: "c1", Netns: netns, Interface: "bench0", Pod: ledger.Pod{Namespace: "ns", Name: "p"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Add(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		if err := e.Del(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
