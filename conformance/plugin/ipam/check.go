// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"maps"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var checkCases = []plugin.Case{
	{ID: "IPAM-08", Level: spec.Must, Source: "CNI §2 CHECK", Since: "0.4.0", Needs: []spec.Feature{plugin.FeatureCheck},
		Title: "CHECK succeeds after ADD", Body: checkSucceeds},
	{ID: "IPAM-09", Level: spec.Should, Source: "CNI §2 CHECK", Since: "0.4.0", Needs: []spec.Feature{plugin.FeatureCheck, plugin.FeaturePool},
		Title: "CHECK fails when the reservation is gone or prevResult's address is not this container's", Body: checkNotices},
}

// final is the result of the whole attachment, which CHECK gets: the interface
// plugin's, made of this plugin's.
func final(a *plugin.Attachment, of *plugin.Result) plugin.Option {
	ips := []any{}
	listed, _ := of.Fields["ips"].([]any)
	for _, ip := range listed {
		fields, _ := ip.(map[string]any)
		one := maps.Clone(fields)
		one["interface"] = 0
		ips = append(ips, one)
	}
	r := maps.Clone(of.Fields)
	r["interfaces"] = []any{map[string]any{"name": a.IfName, "mac": "02:00:00:00:00:01", "sandbox": a.Netns}}
	r["ips"] = ips
	return plugin.Key("prevResult", r)
}

func checkSucceeds(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	r := a.MustAdd(ctx)
	before := e.State(a.Sandbox)
	e.MustOK(a.Check(ctx, final(a, r)))
	e.ExpectUnchanged(before, "what CHECK changed", a.Sandbox)
	b := e.Attach()
	b.MustAdd(ctx)
	e.MustOK(a.Check(ctx, final(a, r)))
	e.MustOK(b.Check(ctx, final(b, b.Result)))
}

func checkNotices(ctx context.Context, e *plugin.Env) {
	a, b := e.Attach(), e.Attach()
	a.MustAdd(ctx)
	b.MustAdd(ctx)
	e.MustOK(a.Check(ctx, final(a, a.Result)))
	a.MustDel(ctx)
	e.MustFail(a.Check(ctx, final(a, a.Result)), "the address was released")
	a.MustAdd(ctx)
	e.MustFail(a.Check(ctx, final(a, b.Result)), "prevResult has the address of another container")
}
