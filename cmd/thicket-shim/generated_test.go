// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

// What the daemon writes for the runtime is usual, too, when the runtime has added what libraries add.
func TestTheConfigurationThatTheDaemonWritesIsUsual(t *testing.T) {
	w := newWorld(t)
	w.serve(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", api.PrintedResult)
		_, _ = rw.Write([]byte(`{"cniVersion":"1.0.0"}`))
	})
	got := w.exec("ADD", passedOn(t, generated(t, w)), "GODEBUG=inittrace=1")
	if got.exit != 0 || !strings.Contains(got.stderr, "init syscall @") || strings.Contains(got.stderr, "init time @") || len(w.posted()) != 1 {
		t.Errorf("exit %d, and these are initialized:\n%s", got.exit, got.stderr)
	}
}

// generated is the configuration that the daemon writes beside that of a default network.
func generated(t *testing.T, w *world) []byte {
	t.Helper()
	dir := t.TempDir()
	network := `{"cniVersion":"1.0.0","name":"default","plugins":[{"type":"bridge","capabilities":{"portMappings":true}}]}`
	if err := os.WriteFile(filepath.Join(dir, "10-default.conflist"), []byte(network), 0o600); err != nil {
		t.Fatal(err)
	}
	m := nodeconf.New(nodeconf.Options{File: nodeconf.Auto, ConfigDir: dir, Log: slog.New(slog.DiscardHandler),
		Shim: nodeconf.Shim{Type: "thicket-shim", SocketDir: w.run, CNIDir: w.cni}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	select {
	case <-m.Ready():
	case <-time.After(10 * time.Second):
		t.Errorf("not ready: %s", m.Waiting())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, nodeconf.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// passedOn is what libcni makes of a configuration for the plugin (CNI spec, section 3).
func passedOn(t *testing.T, config []byte) string {
	t.Helper()
	list, err := libcni.NetworkPluginConfFromBytes(config)
	if err != nil {
		t.Fatal(err)
	}
	list, err = libcni.InjectConf(list, map[string]any{"name": list.Network.Name, "cniVersion": list.Network.CNIVersion,
		"runtimeConfig": map[string]any{"portMappings": []any{map[string]any{"hostPort": 80, "containerPort": 8080, "protocol": "tcp"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(list.Bytes)
}
