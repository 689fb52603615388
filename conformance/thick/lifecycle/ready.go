// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

var readyCases = []thick.Case{
	{
		ID: "ST-03", Level: spec.Must, Source: "#1366", Needs: []spec.Feature{thick.FeatureReadyz, thick.FeatureStatus, thick.FeatureRestart},
		Slow: 8 * time.Second, Timeout: 120 * time.Second, Body: readinessOfEveryAdd,
		Title: "Neither /readyz nor STATUS says yes while every ADD has to fail; what is missing is said",
	},
	{
		ID: "ST-04", Level: spec.Should, Source: "containerd/containerd#11135", Needs: []spec.Feature{thick.FeatureNodeConf}, Body: nodeVersionHasStatus,
		Title: "The generated configuration lets the runtime ask STATUS and GC whatever the version of the default network",
	},
}

// stillUnready is how long a daemon that cannot attach anything is watched.
const stillUnready = time.Second

// readinessOfEveryAdd is ST-03.
func readinessOfEveryAdd(ctx context.Context, e *thick.Env) {
	ginkgo.By("the default network's plugin is not installed")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Type: "late-plugin"}))
	d := e.Start(ctx, thick.WithoutWaiting())
	expectUnready(ctx, e, d, "late-plugin")
	fake, err := os.Readlink(filepath.Join(e.BinDir, "fake"))
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Symlink(fake, filepath.Join(e.BinDir, "late-plugin"))).To(Succeed())
	expectReadyNow(ctx, e, d)
	d.Stop(ctx)

	if e.Supports(thick.FeatureNodeConf) && e.Supports(thick.FeatureMultusConfig) {
		ginkgo.By("the configuration that is to be installed names no default network")
		given := expect.ShimConfigFile(e, "70-given.conf", nil)
		d = e.Start(ctx, thick.WithoutWaiting(), thick.NodeConfiguration(), expect.Setting("multusConfigFile", given))
		expectUnready(ctx, e, d, "network")
		expect.ShimConfigFile(e, "70-given.conf", map[string]any{"clusterNetwork": filepath.Join(e.ConfDir, "10-default.conflist")})
		expectReadyNow(ctx, e, d)
		d.Stop(ctx)
	}
	if e.Supports(thick.FeatureKubernetes) {
		ginkgo.By("the daemon's account may not write a pod's status")
		w := e.Api()
		w.Grant(w.RulesWithout("pods/status"))
		d = e.Start(ctx, thick.WithoutWaiting())
		expectUnready(ctx, e, d, "pods/status")
		w.Grant(w.Rules())
		expectReadyNow(ctx, e, d)

		ginkgo.By("the right is taken away while it runs, and a pod was refused for it")
		w.Grant(w.RulesWithout("pods/status"))
		_ = expect.Refused(e.Add(ctx, e.Sandbox()))
		Eventually(func() error { return e.Probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint) }).WithContext(ctx).
			WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).ShouldNot(Succeed(), "readiness, after a pod was refused")
		expectUnready(ctx, e, d, "pods/status")
		w.Grant(w.Rules())
		expectReadyNow(ctx, e, d)
		d.Stop(ctx)
	}
}

// expectUnready asserts that a daemon which serves does not say that it is
// ready, and says of STATUS what is missing.
func expectUnready(ctx context.Context, e *thick.Env, d *thick.Daemon, missing string) {
	ginkgo.GinkgoHelper()
	alive := func() error {
		if d.Ended() {
			return StopTrying("the daemon ended")
		}
		return e.Probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint)
	}
	Eventually(alive).WithContext(ctx).WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed(),
		func() string { return "the daemon's log:\n" + spec.LastLines(d.Log(), 40) })
	Consistently(func() error { return e.Probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint) }).WithContext(ctx).
		WithTimeout(stillUnready).WithPolling(5*node.PollInterval).ShouldNot(Succeed(), "readiness, while no ADD can succeed")
	for _, w := range expect.WaysOf(e) {
		var told string
		Eventually(func() error {
			err := w.Ask(ctx, expect.StatusRequest(e))
			if err == nil {
				return fmt.Errorf("STATUS through %s succeeds", w.Name)
			}
			if told = err.Msg + ": " + err.Details; !strings.Contains(told, missing) {
				return fmt.Errorf("STATUS through %s does not say what is missing, %q: %s", w.Name, missing, told)
			}
			return nil
		}).WithContext(ctx).WithTimeout(thick.FollowLimit).WithPolling(5*node.PollInterval).Should(Succeed(), "STATUS through %s fails and says what is missing", w.Name)
	}
}

// expectReadyNow asserts that the same daemon becomes ready, and attaches.
func expectReadyNow(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	Eventually(func() error {
		if err := e.Probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint); err != nil {
			return err
		}
		for _, w := range expect.WaysOf(e) {
			if err := w.Ask(ctx, expect.StatusRequest(e)); err != nil {
				return fmt.Errorf("STATUS through %s: %w", w.Name, err)
			}
		}
		return nil
	}).WithContext(ctx).WithTimeout(thick.StartTimeout).WithPolling(5*node.PollInterval).Should(Succeed(),
		func() string { return "readiness; the daemon's log:\n" + spec.LastLines(d.Log(), 40) })
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Del(ctx, s))
}

// nodeVersionHasStatus is ST-04.
func nodeVersionHasStatus(ctx context.Context, e *thick.Env) {
	network := func(version, capability string) string {
		return expect.Versioned(e.FakeList("default", script.Fake{Capabilities: map[string]bool{capability: true}}), version)
	}
	e.NodeNetwork("10-default.conflist", network("0.3.1", "first"))
	e.Start(ctx, thick.NodeConfiguration())
	for _, version := range []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		ginkgo.By("a default network of CNI " + version)
		capability := "of-" + version
		e.NodeNetwork("10-default.conflist", network(version, capability))
		Eventually(e.NodeCapabilities).WithContext(ctx).WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).
			Should(Equal([]string{capability}), "the capabilities that the runtime finds")
		config, fields, err := e.NodeConf()
		Expect(err).NotTo(HaveOccurred())
		offered := []any{fields["cniVersion"]}
		if more, ok := fields["cniVersions"].([]any); ok {
			offered = append(offered, more...)
		}
		Expect(offered).To(ContainElement("1.1.0"), "the versions that the runtime may speak with the shim")

		s := e.Sandbox()
		expect.Succeeded(e.Shim(ctx, "ADD", s, thick.ShimConfigBytes(config)))
		Expect(node.NetworksOf(e.CallsFor("ADD", s))).To(Equal([]string{"default"}), "networks whose delegates were called at ADD")
		expect.Succeeded(e.Shim(ctx, "DEL", s, thick.ShimConfigBytes(config)))
		if e.Supports(thick.FeatureStatus) {
			expect.Succeeded(e.Shim(ctx, "STATUS", expect.Nobody(e), thick.ShimConfigBytes(config), thick.ShimEnv(func(env map[string]string) {
				clear(env)
				env["CNI_COMMAND"], env["CNI_PATH"] = "STATUS", e.BinDir
			})))
		}
	}
}
