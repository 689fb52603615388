// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var requestCases = []plugin.Case{
	{ID: "IPAM-12", Level: spec.Must, Source: "CONVENTIONS", Needs: []spec.Feature{plugin.FeatureArgs},
		Title: "With args.cni.ips the IP of CNI_ARGS is ignored", Body: argsFirst},
	{ID: "IPAM-13", Level: spec.Should, Source: "CONVENTIONS", Needs: []spec.Feature{plugin.FeatureIPs},
		Title: "runtimeConfig.ips is honoured, or refused when out of range or taken", Body: ipsHonoured},
}

func argsFirst(ctx context.Context, e *plugin.Env) {
	wanted, ignored := host(e, 20), host(e, 30)
	a := e.Attach()
	a.Args = "IP=" + ignored
	e.MustOK(a.Add(ctx, plugin.Key("args", map[string]any{"cni": map[string]any{"ips": []string{wanted}}})))
	Expect(has(a.Result, wanted)).To(BeTrue(), "%s, which args.cni.ips asks for: %s", wanted, a.Result.Raw)
	Expect(has(a.Result, ignored)).To(BeFalse(), "%s, which CNI_ARGS asks for beside args.cni.ips: %s", ignored, a.Result.Raw)
}

func ipsHonoured(ctx context.Context, e *plugin.Env) {
	asking := func(address string) plugin.Option {
		return plugin.Key("runtimeConfig", map[string]any{"ips": []string{address}})
	}
	wanted := host(e, 40)
	a := e.Attach()
	e.MustOK(a.Add(ctx, asking(wanted)))
	Expect(has(a.Result, wanted)).To(BeTrue(), "%s, which runtimeConfig.ips asks for: %s", wanted, a.Result.Raw)
	if !e.Target.Has(plugin.FeaturePool) {
		return
	}
	e.MustFail(e.Attach().Add(ctx, asking(wanted)), "runtimeConfig.ips asks for an address that is taken")
	const foreign = "203.0.113.7/24"
	outside := e.Attach()
	if answer := outside.Add(ctx, asking(foreign)); answer.OK() {
		Expect(has(outside.Result, foreign)).To(BeTrue(), "an ADD that succeeded though runtimeConfig.ips is out of range: %s", outside.Result.Raw)
	}
}
