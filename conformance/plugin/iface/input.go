// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var inputCases = []plugin.Case{
	{ID: "PLUG-07", Level: spec.Must, Source: "CNI §2", Once: true,
		Title: "Missing or invalid variables, stdin that is empty or no JSON, no or a bad name, wrong types: failure, nothing done, no path made of them", Body: badInput},
}

// unusable are ADDs that have to fail, by what is wrong with them.
var unusable = []struct {
	what   string
	option plugin.Option
}{
	{"no CNI_CONTAINERID", plugin.NoVar("CNI_CONTAINERID")},
	{"no CNI_NETNS", plugin.NoVar("CNI_NETNS")},
	{"no CNI_IFNAME", plugin.NoVar("CNI_IFNAME")},
	{"CNI_COMMAND=ADDD", plugin.Var("CNI_COMMAND", "ADDD")},
	{"an empty CNI_CONTAINERID", plugin.Var("CNI_CONTAINERID", "")},
	{"an empty CNI_IFNAME", plugin.Var("CNI_IFNAME", "")},
	{"the id ../x", plugin.Var("CNI_CONTAINERID", "../x")},
	{"the id a b", plugin.Var("CNI_CONTAINERID", "a b")},
	{"an interface name of 16 characters", plugin.Var("CNI_IFNAME", "eth0123456789abc")},
	{"the interface name a/b", plugin.Var("CNI_IFNAME", "a/b")},
	{"the interface name ..", plugin.Var("CNI_IFNAME", "..")},
	{"the interface name a b", plugin.Var("CNI_IFNAME", "a b")},
	{"an empty stdin", plugin.Stdin("")},
	{"a stdin that is no JSON", plugin.Stdin("name: net")},
	{"a stdin that is a list", plugin.Stdin("[]")},
	{"no name", plugin.Key("name", nil)},
	{"the name ../x", plugin.Key("name", "../x")},
	{"the name a b", plugin.Key("name", "a b")},
	{"a name that is a number", plugin.Key("name", 5)},
	{"a cniVersion that is a list", plugin.Key("cniVersion", []string{"1.0.0"})},
}

func badInput(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	before := e.State(a.Sandbox)
	for _, u := range unusable {
		ginkgo.By("asking for an ADD with " + u.what)
		e.MustFail(a.Add(ctx, u.option), "ADD with "+u.what)
		e.ExpectUnchanged(before, "what an ADD with "+u.what+" changed", a.Sandbox)
	}
	// Whether DEL of a bad id fails is open; what it may touch is not.
	for _, u := range unusable[:8] {
		a.Del(ctx, u.option)
		e.ExpectUnchanged(before, "what a DEL with "+u.what+" changed", a.Sandbox)
	}
}
