// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var checkCases = []runtime.Case{
	{ID: "RT-18", Level: spec.Must, Source: "CNI §2 CHECK", Body: checkInOrder, Needs: []spec.Feature{runtime.FeatureCheck},
		Title: "CHECK runs in list order with the final result and ADD's parameters; disableCheck is honoured"},
	{ID: "RT-19", Level: spec.Must, Source: "CNI §2 CHECK", Body: checkOfStranger, Needs: []spec.Feature{runtime.FeatureCheck},
		Title: "No CHECK for what was not added or is deleted"},
}

func checkInOrder(ctx context.Context, e *runtime.Env) {
	n := e.NewNetwork()
	for _, p := range n.Plugins {
		p["capabilities"] = map[string]any{"portMappings": true}
	}
	e.Write(n)
	a := e.Attach(n)
	if e.Driver.Takes().Args {
		a.CNIArgs = "IgnoreUnknown=1;CASE=RT-18"
	}
	if e.Has(runtime.FeatureCapabilities) {
		a.Capabilities = given()
	}
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Check(ctx, a))
	added, checked := e.CallsOf("ADD", a), e.CallsOf("CHECK", a)
	expectOrder(checked, forward, "CHECK")
	expectFinal(checked, "after ADD")
	for i, c := range checked {
		for _, name := range []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"} {
			want, _ := runtime.Variable(added[i], name)
			got, _ := runtime.Variable(c, name)
			// The pairs of CNI_ARGS have no order.
			Expect(strings.Split(got, ";")).To(ConsistOf(strings.Split(want, ";")), "%s of %s at CHECK, which has ADD's", name, c.Type)
		}
		Expect(runtimeConfig(c)).To(Equal(runtimeConfig(added[i])), "the runtimeConfig of %s at CHECK, which has ADD's", c.Type)
	}
	e.Script("p2", script.Fake{Check: failing(117)})
	answer := e.Check(ctx, a)
	e.MustFail(answer, "CHECK with a second plugin that fails")
	Expect(answer.Said).To(ContainSubstring(words), "what the caller is told of the plugin's msg")
	Expect(runtime.Types(e.CallsOf("CHECK", a)[3:])).To(Equal(forward[:2]), "the plugins that were executed with CHECK, of which the second fails")
	e.Script("p2", script.Fake{})
	e.MustOK(e.Del(ctx, a))
	e.Forget(n)

	n = e.NewNetwork()
	n.Keys["disableCheck"] = true
	e.Write(n)
	b := e.Attach(n)
	e.MustOK(e.Add(ctx, b))
	e.MustOK(e.Check(ctx, b))
	Expect(runtime.Types(e.CallsOf("CHECK", b))).To(BeEmpty(), "plugins that were executed with CHECK though the network has disableCheck")
	e.MustOK(e.Del(ctx, b))
}

func checkOfStranger(ctx context.Context, e *runtime.Env) {
	n := e.Network()
	e.Check(ctx, e.Attach(n))
	Expect(runtime.Types(e.Node.CallsOf("CHECK"))).To(BeEmpty(), "plugins that were executed with CHECK of a container that was never added")
	a := e.Attach(n)
	e.MustOK(e.Add(ctx, a))
	e.MustOK(e.Check(ctx, a))
	Expect(runtime.Types(e.CallsOf("CHECK", a))).To(HaveLen(3), "executions with CHECK of a container that was added")
	e.MustOK(e.Del(ctx, a))
	e.Check(ctx, a)
	Expect(runtime.Types(e.CallsOf("CHECK", a))).To(HaveLen(3), "executions with CHECK of a container, of which the last was asked for after DEL")
}
