// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/gomega"
)

func init() {
	register(
		Case{ID: "RES-01", Profile: "resilience", Level: Must, Source: "#323, #1087", Needs: []Feature{FeatureKill, FeatureRestart},
			Slow: 60 * time.Second, Timeout: 300 * time.Second, Body: killedAnywhere,
			Title: "The daemon killed at any point of ADD or DEL: after restart and the runtime's DEL nothing is left"},
		Case{ID: "RES-02", Profile: "resilience", Level: Must, Source: "#323", Needs: []Feature{FeatureRestart}, Body: rebooted,
			Title: "After a reboot what the lost sandboxes held is released without being asked"},
		Case{ID: "RES-05", Profile: "resilience", Level: Must, Source: "OPS", Needs: []Feature{FeatureTakeover, FeatureRestart}, Body: takenOver,
			Title: "Running sandboxes of a Multus that was replaced are deleted correctly (its cache is read)"},
		Case{ID: "RES-08", Profile: "resilience", Level: Must, Source: "#1312, #1366", Needs: []Feature{FeatureNodeConf},
			Slow: 10 * time.Second, Timeout: 120 * time.Second, Body: nodeConfigurationFollowed,
			Title: "The default network's configuration is followed without a restart, and 00-multus.conf is written atomically"},
	)
}

// rebooted is RES-02: with real plugins, whose leases are what a reboot loses.
func rebooted(ctx context.Context, e *Env) {
	e.RealPlugins()
	e.DefaultNetwork(realBridge(e, "default", "br-def", "10.60.0.0/24"))
	e.Definition("more", realBridge(e, "more", "br-more", "10.61.0.0/24"))
	e.Definition("fails", e.FakeList("fails", Fake{Del: FakeStep{Error: &types.Error{Code: 140, Msg: "not yet"}, Times: 1}}))
	d := e.Start(ctx)
	lost := []*Sandbox{e.Sandbox(Networks("more")), e.Sandbox(Networks("more,fails")), e.Sandbox(), e.Sandbox(Networks("more"))}
	taken := lost[len(lost)-1]
	for _, s := range lost {
		e.MustOK(e.Add(ctx, s))
		Expect(leases(e, s)).NotTo(BeEmpty())
	}
	d.Stop(ctx)
	e.Reboot(taken)
	// Nobody asks for the lost sandboxes again; their pods are back.
	e.Start(ctx)
	for _, s := range lost {
		Eventually(func() []string { return append(e.FilesNaming(s.ID), leases(e, s)...) }).WithContext(ctx).
			WithTimeout(20*time.Second).WithPolling(50*time.Millisecond).Should(BeEmpty(), "what a lost sandbox held")
		s.added = false
	}
	Expect(taken.InterfaceNames()).To(ConsistOf("eth0", "net1"), "the namespace that stands where a lost sandbox's was")
	taken.RemoveNetns()
	Expect(e.CallsFor("DEL", lost[1])).NotTo(HaveLen(1), "a DEL that failed at the replay is tried again")
	// A bridge changes its address when ports go, which CHECK would find, and the
	// kernel takes its time with those of namespaces that are gone.
	for _, bridge := range []string{"br-def", "br-more"} {
		Eventually(bridgePorts).WithArguments(bridge).WithContext(ctx).WithTimeout(20*time.Second).Should(BeZero(), "ports of %s", bridge)
	}
	again := e.Sandbox(Networks("more"))
	e.MustOK(e.Add(ctx, again))
	e.MustOK(e.Check(ctx, again))
}
