// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"maps"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

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
	if e.Target.Has(plugin.FeatureIPAM) {
		refusesPathOfIPAM(ctx, e, a)
	}
	if hasCheck(e) {
		checksNothingUnnamed(ctx, e)
	}
}

// refusesPathOfIPAM names the IPAM plugin, which is there, by a path (CNI spec,
// section 1). That an ADD that failed leaves nothing is PLUG-21's.
func refusesPathOfIPAM(ctx context.Context, e *plugin.Env, usual *plugin.Attachment) {
	ginkgo.GinkgoHelper()
	ginkgo.By("naming the IPAM plugin by a path")
	ipam, _ := usual.Config["ipam"].(map[string]any)
	name, _ := ipam["type"].(string)
	Expect(name).NotTo(BeEmpty(), "the type of the IPAM plugin in the configuration")
	path := filepath.Join(e.BinDir, name)
	Expect(path).To(BeAnExistingFile(), "the IPAM plugin")
	for _, named := range []string{path, filepath.Join("..", filepath.Base(e.BinDir), name), "./" + name} {
		a := e.Attach()
		ipam := maps.Clone(ipam)
		ipam["type"] = named
		what := "ADD with an IPAM plugin of the type " + named
		e.MustFail(a.Add(ctx, plugin.Key("ipam", ipam)), what)
		Expect(e.CallsFor("ADD", a.Sandbox)).To(BeEmpty(), "executions of the IPAM plugin by an "+what)
	}
}

// checksNothingUnnamed asks for CHECKs that do not say of which container.
func checksNothingUnnamed(ctx context.Context, e *plugin.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("CHECK without a variable that it needs")
	a := e.Attach()
	a.MustAdd(ctx)
	before := e.State(a.Sandbox)
	for _, name := range []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"} {
		e.MustFail(a.Check(ctx, plugin.NoVar(name)), "CHECK with no "+name)
		e.ExpectUnchanged(before, "what a CHECK with no "+name+" changed", a.Sandbox)
	}
	a.MustDel(ctx)
}
