// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"slices"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var delCases = []plugin.Case{
	{ID: "CHN-04", Level: spec.Must, Source: "CNI §2 DEL, calico#3412",
		Title: "DEL takes back what ADD did on the host (rules, devices, shaping); a new ADD on the same interface works", Body: delRestores},
	{ID: "CHN-05", Level: spec.Should, Source: "CNI §2 DEL, plugins#540, plugins#212",
		Title: "DEL takes back what ADD did in the namespace", Body: delRestoresInside},
	{ID: "CHN-10", Level: spec.Should, Source: "CNI §2 DEL, plugins#509, plugins#752",
		Title: "DEL works without the ADD's capability args and without prevResult: nothing stays", Body: delAlone},
}

func delRestores(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	bare := e.State(a.Sandbox)
	before := e.State()
	a.MustAdd(ctx)
	Expect(e.Changes(bare, false, a.Sandbox)).NotTo(BeEmpty(), "what ADD changed: the target's configuration has to give the plugin something to do")
	a.MustDel(ctx)
	e.ExpectRestored(before, "what ADD and DEL leave on the host")
	a.Result = nil
	a.MustAdd(ctx)
	a.MustDel(ctx)
	e.ExpectRestored(before, "what the second ADD and DEL leave on the host")
}

func delRestoresInside(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	before := a.Snapshot()
	a.MustAdd(ctx)
	a.MustDel(ctx)
	Expect(before.Difference(a.Snapshot())).To(BeEmpty(), "what ADD and DEL leave in the container")
}

// delAlone compares with what a DEL that has everything still finds to take
// away. What that one leaves itself is of other rows.
func delAlone(ctx context.Context, e *plugin.Env) {
	for what, options := range map[string][]plugin.Option{
		"without prevResult":                         {plugin.NoPrevResult()},
		"without capability args":                    {plugin.Key("runtimeConfig", nil)},
		"without prevResult and the capability args": {plugin.NoPrevResult(), plugin.Key("runtimeConfig", nil)},
	} {
		a := e.Attach()
		before := e.State(a.Sandbox)
		a.MustAdd(ctx)
		e.MustOK(a.Del(ctx, options...))
		left := e.Changes(before, true, a.Sandbox)
		a.MustDel(ctx)
		usual := e.Changes(before, true, a.Sandbox)
		left = slices.DeleteFunc(left, func(line string) bool { return slices.Contains(usual, line) })
		Expect(left).To(BeEmpty(), "what a DEL "+what+" leaves, and one with them does not")
	}
}
