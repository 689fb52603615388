// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// runDaemon runs a daemon on directories of its own and returns it; more are
// further keys of its configuration. What stop returns is Run's error.
func runDaemon(t *testing.T, dir, more string) (d *Daemon, stop func() error) {
	t.Helper()
	g := NewWithT(t)
	for _, name := range []string{"bin", "manifests", "conf"} {
		g.Expect(os.MkdirAll(filepath.Join(dir, name), 0o755)).To(Succeed())
	}
	g.Expect(os.WriteFile(dir+"/bin/fake", nil, 0o755)).To(Succeed())
	g.Expect(os.WriteFile(dir+"/conf/d.conf", []byte(`{"cniVersion":"1.0.0","name":"d","type":"fake"}`), 0o644)).To(Succeed())
	config := fmt.Sprintf(`{"socketDir":%q,"cniDir":%q,"binDir":%q,"confDir":%q,"cluster":{"directory":%q},%s}`,
		dir+"/run", dir+"/cache", dir+"/bin", dir+"/conf", dir+"/manifests", more)
	c, _, err := ParseConfig([]byte(config), "f.json")
	g.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(t.Context())
	d, err = New(ctx, Options{Config: c, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	g.Expect(err).NotTo(HaveOccurred())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stop = func() error { cancel(); err := <-ended; ended <- nil; return err }
	t.Cleanup(func() { _ = stop() })
	return d, stop
}

func isReady(d *Daemon) func() bool {
	return func() bool { return d.unready(context.Background()) == "" }
}

// admitted is what becomes of an ADD whose client does not wait.
func admitted(d *Daemon) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return d.admit(ctx, "ADD")
}

func expectNotServed(g *WithT, d *Daemon, what string) {
	for _, ask := range []struct {
		code uint
		of   func() error
	}{{types.ErrTryAgainLater, func() error { return admitted(d) }}, {codeUnavailable, func() error { return d.status(context.Background()) }}} {
		g.Eventually(ask.of, "10s").Should(MatchError(ContainSubstring(what)))
		var own *types.Error
		g.Expect(ask.of()).To(BeAssignableToTypeOf(own))
		g.Expect(ask.of().(*types.Error).Code).To(Equal(ask.code)) //nolint:errorlint // the answer itself
	}
	g.Expect(d.unready(context.Background())).NotTo(BeEmpty())
}

func TestReadinessIndicatorFile(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	indicator := filepath.Join(dir, "net", "ready")
	d, _ := runDaemon(t, dir, fmt.Sprintf(`"clusterNetwork":"d","multusConfigFile":"","readinessindicatorfile":%q`, indicator))
	for range 2 {
		expectNotServed(g, d, "readinessindicatorfile "+indicator)
		g.Expect(os.MkdirAll(filepath.Dir(indicator), 0o755)).To(Succeed())
		waits := make(chan error, 1)
		go func() { waits <- d.admit(context.Background(), "ADD") }()
		g.Expect(os.WriteFile(indicator, nil, 0o644)).To(Succeed())
		g.Eventually(waits, "10s").Should(Receive(BeNil()), "an ADD that waits")
		g.Eventually(isReady(d), "10s").Should(BeTrue())
		g.Expect(os.RemoveAll(filepath.Dir(indicator))).To(Succeed())
	}
}

func TestAutoGeneratesAndFollows(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "net.d")
	d, stop := runDaemon(t, dir, fmt.Sprintf(`"multusConfigFile":"auto","cniConfigDir":%q,"cniVersion":"1.1.0","forceCNIVersion":true`, conf))
	expectNotServed(g, d, conf)
	g.Expect(os.MkdirAll(conf, 0o755)).To(Succeed())
	network := []byte(`{"cniVersion":"0.3.1","name":"a","type":"fake"}`)
	g.Expect(os.WriteFile(filepath.Join(conf, "10-a.conf"), network, 0o644)).To(Succeed())
	g.Eventually(isReady(d), "10s").Should(BeTrue())

	generated := filepath.Join(conf, "00-multus.conf")
	data, err := os.ReadFile(generated)
	g.Expect(err).NotTo(HaveOccurred())
	var fields map[string]any
	g.Expect(json.Unmarshal(data, &fields)).To(Succeed())
	g.Expect(fields).To(Equal(map[string]any{
		"cniVersion": "1.1.0", "name": "multus-cni-network", "type": "thicket-shim",
		"daemonSocketDir": dir + "/run", "cniDir": dir + "/cache", "clusterNetwork": filepath.Join(conf, "10-a.conf"),
	}))
	var shim api.ShimNetConf
	g.Expect(json.Unmarshal(data, &shim)).To(Succeed())
	g.Expect(api.CheckAPIReadyNow(shim.MultusSocketDir)).To(Succeed(), "the shim finds the daemon")

	now, err := os.ReadFile(filepath.Join(conf, "10-a.conf"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(now).To(Equal(network), "the version is forced in memory: the file is somebody else's")
	g.Expect(os.Remove(filepath.Join(conf, "10-a.conf"))).To(Succeed())
	expectNotServed(g, d, conf)
	g.Expect(stop()).To(Succeed())
	g.Expect(generated).To(BeARegularFile(), "the configuration outlives the daemon")
}
