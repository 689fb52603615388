// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var addCases = []plugin.Case{
	{ID: "CHN-02", Level: spec.Should, Source: "CNI §2, plugins#360",
		Title: "ADD without prevResult, or with a malformed one, fails and changes nothing (unless it works standalone)", Body: addAlone},
	{ID: "CHN-03", Level: spec.Must, Source: "CNI §5, plugins#464",
		Title: "With nothing to do it changes nothing", Body: addIdle},
}

func addAlone(ctx context.Context, e *plugin.Env) {
	malformed := map[string]any{
		"prevResult that is a text":                      "result",
		"prevResult with an address that is none":        map[string]any{"cniVersion": e.Version, "ips": []any{map[string]any{"address": "everywhere"}}},
		"prevResult with interfaces that are not a list": map[string]any{"cniVersion": e.Version, "interfaces": 7},
	}
	if !e.Target.Has(plugin.FeatureStandalone) {
		malformed["no prevResult"] = nil
	}
	for what, prev := range malformed {
		a := e.Attach()
		before := e.State(a.Sandbox)
		e.MustFail(a.Add(ctx, plugin.Key("prevResult", prev)), "ADD with "+what)
		e.ExpectUnchanged(before, "what an ADD with "+what+" changed", a.Sandbox)
	}
}

func addIdle(ctx context.Context, e *plugin.Env) {
	e.NeedVariant(variantIdle)
	a := e.Attach(variantIdle)
	before := e.State(a.Sandbox)
	a.MustAdd(ctx)
	e.ExpectUnchanged(before, "what an ADD with nothing to do changed", a.Sandbox)
	a.MustDel(ctx)
	e.ExpectUnchanged(before, "what a DEL with nothing to do changed", a.Sandbox)
	Expect(e.Processes()).To(BeEmpty(), "processes that the plugin left running")
}
