// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

func cases() []thick.Case {
	needs := []spec.Feature{thick.FeatureHotplug}
	return []thick.Case{
		{
			ID: "HOT-01", Level: spec.Must, Source: "API", Needs: needs, Body: hotAdd,
			Title: "ADD attaches one more network and answers its result; ips, mac and cni-args reach the delegate",
		},
		{
			ID: "HOT-02", Level: spec.Must, Source: "API", Needs: needs, Body: hotDel,
			Title: "DEL removes just that attachment and reports a delegate's failure",
		},
		{
			ID: "HOT-03", Level: spec.Must, Source: "Multus 4.3", Needs: needs, Body: hotCheckAndStatus,
			Title: "CHECK and STATUS work on a hot-plugged attachment",
		},
		{
			ID: "HOT-04", Level: spec.Must, Source: "missing in Multus 4.3", Needs: needs, Body: hotBelongsToSandbox,
			Title: "A hot-plugged attachment is removed by the sandbox's DEL, checked by its CHECK, kept by GC",
		},
		{
			ID: "HOT-05", Level: spec.Must, Source: "API", Needs: needs, Body: hotRefused,
			Title: "An interface name that is taken, an unknown pod or sandbox: a CNI error, nothing executed",
		},
		{
			ID: "HOT-08", Level: spec.Should, Source: "CNI", Needs: needs, Body: hotAddFails,
			Title: "A hot-plug that fails is rolled back, and leaves the sandbox as it was",
		},
		{
			ID: "HOT-06", Level: spec.Must, Source: "OPS", Needs: []spec.Feature{thick.FeatureHotplug, thick.FeatureRestart}, Body: hotSurvives,
			Title: "A hot-plugged attachment survives a daemon's restart",
		},
	}
}

// hotAdd is HOT-01.
func hotAdd(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	e.Start(ctx)
	s, other := e.Sandbox(node.Networks("blue")), e.Sandbox()
	for _, sandbox := range []*node.Sandbox{s, other} {
		e.MustOK(e.Add(ctx, sandbox))
	}
	e.ResetCalls()
	address := script.Fake{Add: script.FakeStep{Veth: true, Addresses: []string{"198.51.100.9/24"}}, Del: script.FakeStep{Veth: true}}
	hotAddResult(ctx, e, s, "hot0", e.FakeList("hot", address))
	ginkgo.By("a single plugin's configuration")
	hotAddResult(ctx, e, s, "hot1", expect.SinglePlugin(e.FakeList("solo", address), "solo"))
	Expect(other.InterfaceNames()).To(ConsistOf("eth0"), "interfaces of another sandbox")
	Expect(expect.CallsOfSandbox(e, other)).To(BeEmpty(), "calls for another sandbox")
	hotAddAttributes(ctx, e, s)
}

// hotAddResult asserts on a hot-plug without attributes.
func hotAddResult(ctx context.Context, e *thick.Env, s *node.Sandbox, ifName, config string) {
	ginkgo.GinkgoHelper()
	e.ResetCalls()
	before := s.InterfaceNames()
	result := expect.Hotplug(ctx, e, s, "ADD", ifName, config).Result()
	Expect(result.IPs).To(HaveLen(1), "addresses in the result")
	Expect(result.IPs[0].Address.String()).To(Equal("198.51.100.9/24"), "the result is the network's")
	var names []string
	for _, i := range result.Interfaces {
		names = append(names, i.Name)
	}
	Expect(names).To(And(ContainElement(ifName), Not(ContainElement("eth0"))), "interfaces of the result")
	Expect(s.InterfaceNames()).To(ConsistOf(append(before, ifName)), "interfaces in the sandbox")

	calls := e.Calls()
	Expect(calls).To(HaveLen(1), "one delegate runs, once")
	c := calls[0]
	Expect([]string{c.Command, c.ContainerID, c.Interface, c.Netns}).To(Equal([]string{"ADD", s.ID, ifName, s.Netns}), "command, container, interface and namespace of the call")
	Expect(strings.Split(c.Args, ";")).To(ContainElements("K8S_POD_NAMESPACE="+s.PodNamespace, "K8S_POD_NAME="+s.PodName,
		"K8S_POD_UID="+s.PodUID), "CNI_ARGS")
	for _, key := range []string{"prevResult", "runtimeConfig", "args"} {
		Expect(c.Config()[key]).To(Or(BeNil(), BeEmpty()), "%s, for which nobody asked", key)
	}
}

// hotAddAttributes hands attributes to plugins that declare different
// capabilities.
func hotAddAttributes(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("ips, mac and cni-args")
	with := func(capabilities ...string) script.Fake {
		f := script.Fake{Capabilities: map[string]bool{}}
		for _, c := range capabilities {
			f.Capabilities[c] = true
		}
		return f
	}
	e.ResetCalls()
	ips, mac := []any{"192.0.2.9/24", "2001:db8::9/64"}, "02:00:00:00:00:09"
	r := expect.HotplugRequest(e, s, "ADD", e.FakeList("wishes", with("ips", "mac"), with("mac"), with("bandwidth"), with()))
	r.Env["CNI_IFNAME"] = "hot2"
	r.InterfaceAttributes = &api.DelegateInterfaceAttributes{
		IPRequest: []string{"192.0.2.9/24", "2001:db8::9/64"}, MacRequest: mac,
		CNIArgs: &map[string]any{"vlan": "7", "deep": map[string]any{"a": []any{1.0}}},
	}
	e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, r))
	calls := e.CallsFor("ADD", s)
	Expect(expect.Trace(calls)).To(Equal([]string{"wishes as hot2", "wishes as hot2", "wishes as hot2", "wishes as hot2"}), "delegates that were called, in order")
	for i, want := range []map[string]any{{"ips": ips, "mac": mac}, {"mac": mac}, nil, nil} {
		got := calls[i].Config()
		if want == nil {
			Expect(got["runtimeConfig"]).To(Or(BeNil(), BeEmpty()), "runtimeConfig of plugin %d, which declares neither", i)
		} else {
			Expect(got["runtimeConfig"]).To(Equal(want), "runtimeConfig of plugin %d", i)
		}
		Expect(got["args"]).To(Equal(map[string]any{"cni": map[string]any{"vlan": "7", "deep": map[string]any{"a": []any{1.0}}}}),
			"args of plugin %d", i)
	}
}

// hotAddFails is HOT-08: the sandbox is what it was.
func hotAddFails(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	e.Start(ctx)
	s := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, s))
	want := types.NewError(160, "no port is free", "of 8")
	e.MustOK(e.Check(ctx, s))
	before, checked := s.Interfaces(), expect.PlacesOf(e.CallsFor("CHECK", s))
	e.ResetCalls()
	list := e.FakeList("full", expect.RealInterface(), script.Fake{Add: script.FakeStep{Error: want}})
	// Whether the code survives is EP-10's.
	Expect(expect.Refused(expect.Hotplug(ctx, e, s, "ADD", "hot3", list)).Error()).To(ContainSubstring(want.Msg), "the text of the error")
	Expect(s.Interfaces()).To(Equal(before), "interfaces after a hot-plug that failed")
	Expect(expect.Trace(e.CallsFor("DEL", s))).To(Equal([]string{"full as hot3", "full as hot3"}), "the rollback")
	e.MustOK(e.Check(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("CHECK", s))).To(Equal(checked), "the attachments after a hot-plug that failed")
	e.ResetCalls()
	e.MustOK(expect.Hotplug(ctx, e, s, "ADD", "hot3", e.FakeList("free", expect.RealInterface())))
	e.MustOK(e.Del(ctx, s))
	Expect(expect.Trace(e.CallsFor("DEL", s))).NotTo(ContainElement("full as hot3"), "DEL of what was rolled back")
}
