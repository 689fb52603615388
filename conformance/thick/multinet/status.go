// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// statusResult is a delegate's result with everything that the status tells of.
func statusResult(s *node.Sandbox, ifName, mac string, ips, routes []any, dns map[string]any) map[string]any {
	return map[string]any{
		"cniVersion": "1.0.0",
		"interfaces": []any{
			map[string]any{"name": "host-" + ifName, "mac": "02:ff:ff:ff:ff:ff"},
			map[string]any{"name": ifName, "mac": mac, "sandbox": s.Netns},
		},
		"ips": ips, "routes": routes, "dns": dns,
	}
}

// withMTU makes a result one of CNI 1.1, which can say the MTU of the
// sandbox's interface; the host's end has another.
func withMTU(mtu int, result map[string]any) map[string]any {
	result["cniVersion"] = "1.1.0"
	for i, of := range []int{9000, mtu} {
		result["interfaces"].([]any)[i].(map[string]any)["mtu"] = of
	}
	return result
}

// statusOfEveryAttachment is NET-09: names of definitions, addresses without
// their prefix length, the sandbox's own interface and not the host's end of it.
func statusOfEveryAttachment(ctx context.Context, e *thick.Env) {
	other := e.NewNamespace()
	s := e.Sandbox(node.Networks(`[{"name":"alpha"},{"name":"bare","namespace":"` + other + `"},{"name":"gamma","interface":"data0"}]`))
	address := func(a string) any { return map[string]any{"interface": 1, "address": a} }
	dns := map[string]any{"nameservers": []any{"192.0.2.53"}, "domain": "pod.example", "search": []any{"a.example", "b.example"}, "options": []any{"ndots:5"}}
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Result: statusResult(s, "eth0", "02:00:00:00:00:01",
		[]any{address("192.0.2.17/24"), address("2001:db8::17/64")},
		[]any{map[string]any{"dst": "0.0.0.0/0", "gw": "192.0.2.1"}, map[string]any{"dst": "::/0", "gw": "2001:db8::1"}, map[string]any{"dst": "10.0.0.0/8", "gw": "192.0.2.2"}},
		dns)}}))
	e.Definition("alpha", e.FakeList("alpha-net", script.Fake{Add: script.FakeStep{Result: statusResult(s, "net1", "02:00:00:00:00:02",
		[]any{address("198.51.100.17/24")}, []any{map[string]any{"dst": "10.0.0.0/8", "gw": "198.51.100.1"}}, map[string]any{})}}))
	e.Definition("gamma", expect.Versioned(e.FakeList("gamma-net", script.Fake{Add: script.FakeStep{Result: withMTU(1380, statusResult(s, "data0", "02:00:00:00:00:04",
		[]any{address("203.0.113.17/24")}, nil, map[string]any{}))}}), "1.1.0"))
	e.DefinitionIn(other, "bare", e.FakeList("bare-net", script.Fake{Add: script.FakeStep{Result: statusResult(s, "net2", "02:00:00:00:00:03", nil, nil, map[string]any{})}}))
	e.Start(ctx)
	e.MustOK(e.Add(ctx, s))

	status := expect.Published(e, s, 4) // one for each attachment
	Expect(status[0]).To(And(
		HaveKeyWithValue("name", Not(BeEmpty())), HaveKeyWithValue("interface", "eth0"), HaveKeyWithValue("default", true),
		HaveKeyWithValue("ips", []any{"192.0.2.17", "2001:db8::17"}), HaveKeyWithValue("mac", "02:00:00:00:00:01"),
		HaveKeyWithValue("gateway", []any{"192.0.2.1", "2001:db8::1"}), HaveKeyWithValue("dns", dns)), "the default network")
	for i, want := range []struct{ name, iface, mac string }{
		{e.Namespace + "/alpha", "net1", "02:00:00:00:00:02"}, {other + "/bare", "net2", "02:00:00:00:00:03"}, {e.Namespace + "/gamma", "data0", "02:00:00:00:00:04"},
	} {
		element := status[i+1]
		Expect(element).To(And(HaveKeyWithValue("name", want.name), HaveKeyWithValue("interface", want.iface), HaveKeyWithValue("mac", want.mac)), "element %d", i+1)
		Expect(element["default"]).To(Or(BeNil(), BeFalse()), "element %d", i+1)
		Expect(element["gateway"]).To(Or(BeNil(), BeEmpty()), "element %d: a route to some addresses is not a gateway", i+1)
		Expect(element["dns"]).To(Or(BeNil(), BeEmpty()), "element %d has no dns", i+1)
	}
	Expect(status[1]).To(HaveKeyWithValue("ips", []any{"198.51.100.17"}), "element 1 of network-status")
	Expect(status[3]).To(HaveKeyWithValue("mtu", 1380.0), "element 3 of network-status")
	Expect(status[2]["ips"]).To(Or(BeNil(), BeEmpty()), "a network without addresses")
}
