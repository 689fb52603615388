// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// addInOrder is ADD-01. The networks' own names differ from those of their
// definitions, and eleven of them tell a list from a sorted set.
func addInOrder(ctx context.Context, e *thick.Env) {
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	for _, name := range []string{"alpha", "beta", "gamma"} {
		e.Definition(name, e.FakeList(name+"-net", expect.VethFake()))
	}
	e.Start(ctx)
	many := strings.Repeat("gamma,alpha,beta,", 3) + "gamma,alpha"
	for _, row := range []struct {
		networks, ifName string
		want             []string
	}{
		{"", "eth0", []string{"default as eth0"}},
		{"", "ext0", []string{"default as ext0"}},
		// An interface without a requested name is numbered by its place.
		{"gamma, alpha@data0,beta", "eth0", []string{"default as eth0", "gamma-net as net1", "alpha-net as data0", "beta-net as net3"}},
		{e.Namespace + "/beta@b0," + e.Namespace + "/alpha", "eth0", []string{"default as eth0", "beta-net as b0", "alpha-net as net2"}},
		{"alpha,alpha", "eth0", []string{"default as eth0", "alpha-net as net1", "alpha-net as net2"}},
		{`[{"name":"beta","interface":"store0"},{"name":"alpha","namespace":"` + e.Namespace + `"},{"name":"gamma"}]`, "ext0",
			[]string{"default as ext0", "beta-net as store0", "alpha-net as net2", "gamma-net as net3"}},
		{many, "eth0", []string{"default as eth0", "gamma-net as net1", "alpha-net as net2", "beta-net as net3",
			"gamma-net as net4", "alpha-net as net5", "beta-net as net6", "gamma-net as net7", "alpha-net as net8",
			"beta-net as net9", "gamma-net as net10", "alpha-net as net11"}},
	} {
		ginkgo.By("networks: " + row.networks)
		expectOrder(ctx, e, row.networks, row.ifName, row.want)
	}
}

func expectOrder(ctx context.Context, e *thick.Env, networks, ifName string, want []string) {
	ginkgo.GinkgoHelper()
	var options []node.SandboxOption
	if networks != "" {
		options = append(options, node.Networks(networks))
	}
	s := e.Sandbox(options...)
	s.IfName = ifName
	e.MustOK(e.Add(ctx, s))
	calls := e.CallsFor("ADD", s)
	Expect(expect.Trace(calls)).To(Equal(want), "the delegates' ADD calls, in the order of their start")
	var interfaces []string
	for _, c := range calls {
		Expect(c.Netns).To(Equal(s.Netns), "CNI_NETNS of %s", c.Network)
		interfaces = append(interfaces, c.Interface)
	}
	Expect(s.InterfaceNames()).To(ConsistOf(interfaces), "interfaces in the sandbox")
}

// scriptedResult is a result with one interface and the given addresses.
func scriptedResult(s *node.Sandbox, ifName string, addresses ...string) map[string]any {
	r := map[string]any{"interfaces": []any{map[string]any{"name": ifName, "mac": "02:00:00:00:00:11", "sandbox": s.Netns}}}
	var ips []any
	for _, a := range addresses {
		ips = append(ips, map[string]any{"interface": 0, "address": a})
	}
	if len(ips) > 0 {
		r["ips"] = ips
	}
	return r
}

// addResultOfDefault is ADD-02: neither the last network's result nor a
// mixture, also when the default network's says little.
func addResultOfDefault(ctx context.Context, e *thick.Env) {
	s, bare := e.Sandbox(node.Networks("other,third")), e.Sandbox(node.Networks("other,third"))
	for name, address := range map[string]string{"other": "198.51.100.9/24", "third": "203.0.113.9/24"} {
		other := scriptedResult(s, "net1", address)
		other["dns"] = map[string]any{"nameservers": []string{"198.51.100.53"}, "domain": "other.example"}
		other["routes"] = []any{map[string]any{"dst": "0.0.0.0/0", "gw": "198.51.100.1"}}
		e.Definition(name, e.FakeList(name, script.Fake{Add: script.FakeStep{Result: other}}))
	}
	full := scriptedResult(s, "eth0", "192.0.2.17/24", "2001:db8::17/64")
	full["dns"] = map[string]any{"nameservers": []string{"192.0.2.53"}, "domain": "default.example", "search": []string{"a.example"}}
	full["routes"] = []any{map[string]any{"dst": "192.0.2.128/25", "gw": "192.0.2.1"}}
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Result: full}}))
	e.Start(ctx)
	expectResult(ctx, e, s, full)

	little := scriptedResult(bare, "eth0")
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Result: little}}))
	expectResult(ctx, e, bare, little)
}

// expectResult compares everything of the answer's result but its version,
// which the daemon may choose.
func expectResult(ctx context.Context, e *thick.Env, s *node.Sandbox, want map[string]any) {
	ginkgo.GinkgoHelper()
	a := e.Add(ctx, s)
	e.MustOK(a)
	r := a.Result()
	for _, part := range []struct {
		name string
		got  any
	}{{"interfaces", r.Interfaces}, {"ips", r.IPs}, {"routes", r.Routes}, {"dns", r.DNS}} {
		expected := want[part.name]
		switch {
		case expected == nil && part.name == "dns":
			Expect(r.DNS.IsEmpty()).To(BeTrue(), "dns of the result: %s", a.Body)
		case expected == nil:
			Expect(part.got).To(BeEmpty(), "%s of the result: %s", part.name, a.Body)
		default:
			Expect(node.MustJSON(part.got)).To(MatchJSON(node.MustJSON(expected)), "%s of the result", part.name)
		}
	}
}
