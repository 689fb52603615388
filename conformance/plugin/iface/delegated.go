// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"encoding/json"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/fakes/script"
)

var delegatedCases = []plugin.Case{
	{ID: "PLUG-19", Level: spec.Must, Source: "CNI §4, antrea#829", Needs: []spec.Feature{plugin.FeatureIPAM},
		Title: "The IPAM plugin gets the same CNI variables and the whole configuration on ADD, DEL, CHECK and STATUS, and its failure is the plugin's", Body: ipamAsked},
	{ID: "PLUG-20", Level: spec.Must, Source: "CNI §2 GC, plugins#1013, plugins#1014", Since: "1.1.0", Needs: []spec.Feature{plugin.FeatureIPAM, plugin.FeatureGC},
		Title: "GC reaches the IPAM plugin with the valid attachments", Body: ipamCollects},
	{ID: "PLUG-21", Level: spec.Should, Source: "CNI §4, plugins#29, cni#530, cilium#9854", Needs: []spec.Feature{plugin.FeatureIPAM},
		Title: "A failed ADD leaves nothing: IPAM gets DEL, links are gone, the delegate's code and msg arrive; an IPAM that fails at DEL keeps no interface alive", Body: ipamFails},
}

// unknownKey is a key that no plugin knows, with a number beyond a float's.
const unknownKey = "example.org/unknown"

func ipamAsked(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	a.Args = "IgnoreUnknown=1;K8S_POD_NAME=web-0"
	a.Config[unknownKey] = map[string]any{"nested": []any{"<a>", true}}
	a.MustAdd(ctx)
	if hasCheck(e) {
		e.MustOK(a.Check(ctx))
	}
	a.MustDel(ctx)
	for _, command := range []string{"ADD", "CHECK", "DEL"} {
		if command == "CHECK" && !hasCheck(e) {
			continue
		}
		expectDelegated(e, a, command)
	}
	if hasStatus(e) {
		e.MustOK(e.Execute(ctx, e.Command("STATUS", a.Config)))
		calls := e.CallsOf("STATUS")
		Expect(calls).NotTo(BeEmpty(), "executions of the IPAM plugin by STATUS")
		expectWhole(calls[0], a, "STATUS")
	}
	expectFailures(ctx, e)
}

// expectDelegated asserts on the IPAM plugin's execution at a command.
func expectDelegated(e *plugin.Env, a *plugin.Attachment, command string) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor(command, a.Sandbox)
	Expect(calls).NotTo(BeEmpty(), "executions of the IPAM plugin by %s", command)
	call := calls[0]
	want := a.Request(command).Vars
	for name, value := range want {
		Expect(call.Env).To(ContainElement(name+"="+value), "the IPAM plugin's environment at %s", command)
	}
	expectWhole(call, a, command)
}

// expectWhole asserts that the IPAM plugin got the whole configuration.
func expectWhole(call script.Call, a *plugin.Attachment, command string) {
	ginkgo.GinkgoHelper()
	got := call.Config()
	for key, value := range a.Config {
		var want any
		Expect(json.Unmarshal(node.MustJSON(value), &want)).To(Succeed())
		Expect(got).To(HaveKeyWithValue(key, want), "the IPAM plugin's configuration at %s", command)
	}
}

// expectFailures asserts that the IPAM plugin's failures are the plugin's. DEL is
// left out: whether it may fail at all is open.
func expectFailures(ctx context.Context, e *plugin.Env) {
	ginkgo.GinkgoHelper()
	failing := script.FakeStep{Error: types.NewError(117, "the IPAM plugin's own words", "")}
	a := e.Attach()
	if hasCheck(e) {
		a.MustAdd(ctx)
		e.ScriptIPAM(script.Fake{Check: failing})
		e.MustFail(a.Check(ctx), "CHECK with an IPAM plugin that fails")
		e.ScriptIPAM(script.Fake{})
		a.MustDel(ctx)
	}
	e.ScriptIPAM(script.Fake{Add: failing, Status: failing})
	e.MustFail(e.Attach().Add(ctx), "ADD with an IPAM plugin that fails")
	if hasStatus(e) {
		e.MustFail(e.Status(ctx), "STATUS with an IPAM plugin that fails")
	}
	e.ScriptIPAM(script.Fake{})
}

func hasCheck(e *plugin.Env) bool {
	return e.Target.Has(plugin.FeatureCheck) && plugin.AtLeast(e.Version, "0.4.0")
}

func hasStatus(e *plugin.Env) bool {
	return e.Target.Has(plugin.FeatureStatus) && plugin.AtLeast(e.Version, "1.1.0")
}

func ipamCollects(ctx context.Context, e *plugin.Env) {
	valid, stale := e.Attach(), e.Attach()
	valid.MustAdd(ctx)
	stale.MustAdd(ctx)
	e.MustOK(e.GC(ctx, valid))
	calls := e.CallsOf("GC")
	Expect(calls).NotTo(BeEmpty(), "executions of the IPAM plugin by GC")
	want := []any{map[string]any{"containerID": valid.ID, "ifname": valid.IfName}}
	Expect(calls[0].Config()).To(HaveKeyWithValue("cni.dev/valid-attachments", want), "the IPAM plugin's configuration at GC")
	Expect(e.LeasesOf(valid)).NotTo(BeEmpty(), "the address of a valid attachment after GC")
	Expect(e.LeasesOf(stale)).To(BeEmpty(), "the address of a stale attachment after GC")
	valid.MustDel(ctx)
	stale.MustDel(ctx)
}

func ipamFails(ctx context.Context, e *plugin.Env) {
	for what, step := range map[string]script.FakeStep{
		"fails":               {Error: types.NewError(117, "the IPAM plugin's own words", "")},
		"answers garbage":     {Stdout: "no result"},
		"answers without ips": {Result: map[string]any{"ips": []any{}}},
	} {
		ginkgo.By("an ADD with an IPAM plugin that " + what)
		e.ResetCalls()
		e.ScriptIPAM(script.Fake{Add: step})
		a := e.Attach()
		before := e.State(a.Sandbox)
		answer := a.Add(ctx)
		if what == "answers without ips" && answer.OK() {
			a.MustDel(ctx)
			continue // a plugin may do without addresses
		}
		e.MustFail(answer, "ADD with an IPAM plugin that "+what)
		e.ExpectRestored(before, "what the failed ADD left", a.Sandbox)
		Expect(e.CallsFor("DEL", a.Sandbox)).NotTo(BeEmpty(), "DELs of the IPAM plugin after its ADD failed")
		if step.Error != nil {
			said := answer.Error()
			Expect(said).NotTo(BeNil(), "%s", answer.String())
			Expect(said.Code).To(BeEquivalentTo(step.Error.Code), "the delegate's code: %s", answer.String())
			Expect(said.Msg+said.Details).To(ContainSubstring(step.Error.Msg), "the delegate's msg: %s", answer.String())
		}
	}
	ginkgo.By("a DEL with an IPAM plugin that fails")
	e.ScriptIPAM(script.Fake{Del: script.FakeStep{Error: types.NewError(117, "the IPAM plugin's own words", "")}})
	a := e.Attach()
	before := e.State()
	a.MustAdd(ctx)
	a.Del(ctx)
	left := append(plugin.NewLinks(e.Changes(before, true), ""), a.InterfaceNames()...)
	e.ScriptIPAM(script.Fake{})
	a.MustDel(ctx)
	Expect(left).To(BeEmpty(), "interfaces that are alive after a DEL with an IPAM plugin that fails")
}
