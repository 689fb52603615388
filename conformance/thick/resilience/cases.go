// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var cases = []thick.Case{
	{ID: "RES-01", Level: spec.Must, Source: "#323, #1087", Needs: []spec.Feature{thick.FeatureKill, thick.FeatureRestart},
		Slow: 60 * time.Second, Timeout: 300 * time.Second, Body: killedAnywhere,
		Title: "The daemon killed at any point of ADD or DEL: after restart and the runtime's DEL nothing is left"},
	{ID: "RES-02", Level: spec.Must, Source: "#323", Needs: []spec.Feature{thick.FeatureRestart}, Body: rebooted,
		Title: "After a reboot what the lost sandboxes held is released without being asked"},
	{ID: "RES-05", Level: spec.Must, Source: "OPS", Needs: []spec.Feature{thick.FeatureTakeover, thick.FeatureRestart}, Body: takenOver,
		Title: "Running sandboxes of a Multus that was replaced are deleted correctly (its cache is read)"},
	{ID: "RES-08", Level: spec.Must, Source: "#1312, #1366", Needs: []spec.Feature{thick.FeatureNodeConf},
		Slow: 10 * time.Second, Timeout: 120 * time.Second, Body: nodeConfigurationFollowed,
		Title: "The default network's configuration is followed without a restart, and 00-multus.conf is written atomically"},
}

// rebooted is RES-02: with real plugins, whose leases are what a reboot loses.
func rebooted(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	e.DefaultNetwork(expect.RealBridge(e, "default", "br-def", "10.60.0.0/24"))
	e.Definition("more", expect.RealBridge(e, "more", "br-more", "10.61.0.0/24"))
	e.Definition("fails", e.FakeList("fails", script.Fake{Del: script.FakeStep{Error: &types.Error{Code: 140, Msg: "not yet"}, Times: 1}}))
	d := e.Start(ctx)
	lost := []*node.Sandbox{e.Sandbox(node.Networks("more")), e.Sandbox(node.Networks("more,fails")), e.Sandbox(), e.Sandbox(node.Networks("more"))}
	taken := lost[len(lost)-1]
	for _, s := range lost {
		e.MustOK(e.Add(ctx, s))
		Expect(e.Leases(s)).NotTo(BeEmpty(), "leases of the sandbox")
	}
	d.Stop(ctx)
	e.Reboot(taken)
	// Nobody asks for the lost sandboxes again; their pods are back.
	e.Start(ctx)
	for _, s := range lost {
		Eventually(func() []string { return append(e.RecordsOf(s), e.Leases(s)...) }).WithContext(ctx).
			WithTimeout(20*time.Second).WithPolling(50*time.Millisecond).Should(BeEmpty(), "what a lost sandbox held")
		s.Added = false
	}
	// A DEL that failed at the replay is tried again.
	e.AwaitCalls(ctx, 2, func(c script.Call) bool {
		return c.ContainerID == lost[1].ID && c.Command == "DEL" && c.Network == "fails"
	})
	Expect(taken.InterfaceNames()).To(ConsistOf("eth0", "net1"), "the namespace that stands where a lost sandbox's was")
	taken.RemoveNetns()
	// A bridge changes its address when ports go, which CHECK would find, and the
	// kernel takes its time with those of namespaces that are gone.
	for _, bridge := range []string{"br-def", "br-more"} {
		Eventually(expect.BridgePorts).WithArguments(bridge).WithContext(ctx).WithTimeout(20*time.Second).Should(BeZero(), "ports of %s", bridge)
	}
	again := e.Sandbox(node.Networks("more"))
	e.MustOK(e.Add(ctx, again))
	e.MustOK(e.Check(ctx, again))
}
