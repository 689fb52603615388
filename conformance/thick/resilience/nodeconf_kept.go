// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var nodeConfKeptCases = []thick.Case{
	{ID: "RES-10", Level: spec.Must, Source: "#1527, #1468, #1387",
		Needs: []spec.Feature{thick.FeatureNodeConf, thick.FeatureRestart}, Slow: 8 * time.Second, Body: configurationOutlives,
		Title: "A daemon that stops, restarts or is upgraded leaves the generated configuration where it is"},
	{ID: "RES-12", Level: spec.Should, Source: "istio/istio#57432, #971, #1218",
		Needs: []spec.Feature{thick.FeatureNodeConf}, Slow: 10 * time.Second, Body: editLeftAlone,
		Title: "An edit that keeps the shim first is left alone; a renamed or removed file is written again"},
}

const (
	generatedFile = "00-multus.conf"
	chainedFile   = "00-multus.conflist"
	// leftAloneFor is how long a file is watched that nothing may change.
	leftAloneFor = 3 * time.Second
)

// configurationOutlives is RES-10: whoever reads at any moment between two
// daemons finds the configuration, whole.
func configurationOutlives(ctx context.Context, e *thick.Env) {
	e.NodeNetwork(nodeNetworkFile, nodeList(e, "default", 0))
	d := e.Start(ctx, thick.NodeConfiguration())
	e.AwaitNodeConf(ctx, "")
	reader := e.ReadNodeConf(false)
	kept := e.Sandbox()
	// The default network may be in the generated configuration alone.
	config, _, err := e.NodeConf()
	Expect(err).NotTo(HaveOccurred())
	expect.Succeeded(e.Shim(ctx, "ADD", kept, thick.ShimConfigBytes(config)))

	ginkgo.By("it stops")
	d.Stop(ctx)
	_, _, err = e.NodeConf()
	Expect(err).NotTo(HaveOccurred(), "the configuration after the daemon's end")
	ginkgo.By("another one starts")
	d = e.Start(ctx, thick.NodeConfiguration())
	expectNodeServes(ctx, e, "default", 0)
	if e.Supports(thick.FeatureKill) {
		ginkgo.By("it is killed, and another one starts")
		d.Kill()
		e.Start(ctx, thick.NodeConfiguration())
		expectNodeServes(ctx, e, "default", 0)
	}
	expect.Succeeded(e.Shim(ctx, "DEL", kept, thick.ShimConfigBytes(config)))
	reader.End(e)
}

// editLeftAlone is RES-12, by what service meshes and other network agents do.
func editLeftAlone(ctx context.Context, e *thick.Env) {
	e.NodeNetwork(nodeNetworkFile, nodeList(e, "default", 0))
	e.Start(ctx, thick.NodeConfiguration())
	e.AwaitNodeConf(ctx, "")

	ginkgo.By("a plugin is put behind the shim, under the name of a list")
	before := chainBehindShim(e)
	Consistently(func() string { return namesOf(e) }).WithContext(ctx).WithTimeout(leftAloneFor).WithPolling(5*node.PollInterval).
		Should(Equal(chainedFile), "configurations before the default network's")
	Expect(os.ReadFile(filepath.Join(e.CNIConfDir, chainedFile))).To(Equal(before), "the other program's file")

	ginkgo.By("that file is removed")
	Expect(os.Remove(filepath.Join(e.CNIConfDir, chainedFile))).To(Succeed())
	expectWrittenAgain(ctx, e)
	ginkgo.By("the daemon's file is renamed")
	path := filepath.Join(e.CNIConfDir, generatedFile)
	Expect(os.Rename(path, path+".other_bak")).To(Succeed())
	expectWrittenAgain(ctx, e)
	expectNodeServes(ctx, e, "default", 0)
}

// chainBehindShim makes a list of the daemon's file with one more plugin, and
// returns its content.
func chainBehindShim(e *thick.Env) []byte {
	ginkgo.GinkgoHelper()
	_, fields, err := e.NodeConf()
	Expect(err).NotTo(HaveOccurred())
	delete(fields, "name")
	delete(fields, "cniVersion")
	list, err := json.Marshal(map[string]any{
		"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": []any{fields, map[string]any{"type": "mesh-cni", "log_level": "info"}},
	})
	Expect(err).NotTo(HaveOccurred())
	e.NodeNetwork(chainedFile, string(list))
	Expect(os.Remove(filepath.Join(e.CNIConfDir, generatedFile))).To(Succeed())
	return list
}

// namesOf lists the configurations that a runtime would load before the default
// network's.
func namesOf(e *thick.Env) (names string) {
	ginkgo.GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(e.CNIConfDir, "0*.conf*"))
	Expect(err).NotTo(HaveOccurred())
	for i, path := range files {
		if i > 0 {
			names += ", "
		}
		names += filepath.Base(path)
	}
	return names
}

func expectWrittenAgain(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	Eventually(func() error { _, _, err := e.NodeConf(); return err }).WithContext(ctx).
		WithTimeout(thick.FollowLimit).WithPolling(node.PollInterval).Should(Succeed(), "the daemon's configuration")
}
