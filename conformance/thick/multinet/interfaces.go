// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"os"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var interfacesCases = []thick.Case{
	{
		ID: "NET-20", Level: spec.Must, Source: "NPWG §5.1.1, §5.3.2 to 5.3.5", Body: statusOfInterfaces,
		Title: "An element of network-status names an interface that the result has in the sandbox, with that one's mac, mtu and addresses; one element is default",
	},
	{
		ID: "NET-21", Level: spec.Should, Source: "NADc, #1314, NPWG §5.1.1", Body: statusOfSeveralInterfaces,
		Title: "A result with several sandbox interfaces is as many elements; default is the one whose address has a gateway, else the first",
	},
	{
		ID: "NET-22", Level: spec.Must, Source: "dynamic-networks-controller", Body: statusOfNoInterface,
		Title: "network-status shows no interface that does not exist, neither for an auxiliary chain nor for a delegate that answered without one",
	},
}

// severalInterfaces is a delegate of CNI 1.1 that answers with these interfaces
// and addresses.
func severalInterfaces(e *thick.Env, network string, interfaces, ips []any) string {
	return expect.Versioned(e.FakeList(network, script.Fake{Add: script.FakeStep{Result: map[string]any{
		"cniVersion": "1.1.0", "interfaces": interfaces, "ips": ips, "routes": []any{}, "dns": map[string]any{},
	}}}), "1.1.0")
}

// primaryWithTwo is a default network with two interfaces in the sandbox, as
// OVN-Kubernetes has it for a pod with a primary network of its own. The host's
// end comes between them, so that an index is not a place among the sandbox's.
func primaryWithTwo(e *thick.Env, s *node.Sandbox, gateways ...string) string {
	address := func(n int, cidr string) map[string]any { return map[string]any{"interface": n, "address": cidr} }
	ips := []any{address(0, "192.0.2.17/24"), address(2, "198.51.100.17/24"), address(2, "2001:db8::17/64"), address(1, "203.0.113.1/24")}
	if len(gateways) > 0 {
		ips[1].(map[string]any)["gateway"] = gateways[0]
	}
	return severalInterfaces(e, "default", []any{
		expect.ResultInterface("eth0", "02:00:00:00:00:01", s.Netns, 1400),
		expect.ResultInterface("host0", "02:ff:ff:ff:ff:ff", "", 9000),
		expect.ResultInterface("ovn-udn1", "02:00:00:00:00:02", s.Netns, 1300),
	}, ips)
}

// statusOfInterfaces is NET-20. It asks nothing of how many elements a result
// with several interfaces makes, which is NET-21's.
func statusOfInterfaces(ctx context.Context, e *thick.Env) {
	s := e.Sandbox(node.Networks("renamed,unnumbered"))
	e.DefaultNetwork(primaryWithTwo(e, s, "198.51.100.1"))
	e.Definition("renamed", severalInterfaces(e, "renamed-net", []any{
		expect.ResultInterface("host1", "02:ff:ff:ff:ff:fe", "", 9000),
		expect.ResultInterface("tap-x", "02:00:00:00:00:03", s.Netns, 1350),
	}, []any{map[string]any{"interface": 0, "address": "203.0.113.2/24"}, map[string]any{"interface": 1, "address": "203.0.113.17/24"}}))
	e.Definition("unnumbered", severalInterfaces(e, "unnumbered-net", []any{
		expect.ResultInterface("net2", "02:00:00:00:00:04", s.Netns, 1320),
		expect.ResultInterface("host2", "02:ff:ff:ff:ff:fd", "", 9000),
	}, []any{map[string]any{"address": "10.1.0.17/24"}, map[string]any{"address": "2001:db8:1::17/64"}}))
	e.Start(ctx)
	e.MustOK(e.Add(ctx, s))
	status := expect.Settled(e, s, 3)
	renamed, unnumbered := elementsOf(status, e.Namespace+"/renamed"), elementsOf(status, e.Namespace+"/unnumbered")
	primary := status[:len(status)-len(renamed)-len(unnumbered)]
	Expect(primary).NotTo(BeEmpty(), "the default network in %v", status)
	Expect(primary[0]).To(HaveKeyWithValue("interface", "eth0"), "the first element names the result's first sandbox interface")
	for _, element := range primary {
		expectInterface(element, map[string]elementOf{
			"eth0":     {"02:00:00:00:00:01", 1400, []any{"192.0.2.17"}},
			"ovn-udn1": {"02:00:00:00:00:02", 1300, []any{"198.51.100.17", "2001:db8::17"}},
		})
	}
	Expect(renamed).To(HaveLen(1), "elements of the delegate that named its interface itself")
	expectInterface(renamed[0], map[string]elementOf{"tap-x": {"02:00:00:00:00:03", 1350, []any{"203.0.113.17"}}})
	Expect(unnumbered).To(HaveLen(1), "elements of the delegate whose addresses have no index")
	expectInterface(unnumbered[0], map[string]elementOf{"net2": {"02:00:00:00:00:04", 1320, []any{"10.1.0.17", "2001:db8:1::17"}}})
	Expect(defaultsOf(status)).To(HaveLen(1), "elements that are default")
	Expect(defaultsOf(status[len(primary):])).To(BeEmpty(), "further networks that are default")
}

// elementOf is what an interface's element has.
type elementOf struct {
	mac string
	mtu float64
	ips []any
}

// expectInterface asserts that an element names one of these interfaces, with
// what is that one's.
func expectInterface(element map[string]any, all map[string]elementOf) {
	ginkgo.GinkgoHelper()
	name, _ := element["interface"].(string)
	Expect(all).To(HaveKey(name), "the interface of %v", element)
	want := all[name]
	Expect(element).To(And(HaveKeyWithValue("mac", want.mac), HaveKeyWithValue("ips", want.ips)), "what the status says of %s", name)
	if mtu, told := element["mtu"]; told {
		Expect(mtu).To(Equal(want.mtu), "the MTU that the status says of %s", name)
	}
}

// elementsOf are a status' elements of a network.
func elementsOf(status []map[string]any, network string) (found []map[string]any) {
	for _, element := range status {
		if element["name"] == network {
			found = append(found, element)
		}
	}
	return found
}

// defaultsOf are the interfaces of a status' elements that are default.
func defaultsOf(status []map[string]any) (found []any) {
	for _, element := range status {
		if element["default"] == true {
			found = append(found, element["interface"])
		}
	}
	return found
}

// statusOfSeveralInterfaces is NET-21, and asks for results without any too.
func statusOfSeveralInterfaces(ctx context.Context, e *thick.Env) {
	rows := []struct{ network, what, gateway, want string }{
		{"pair-one", "an address of the second interface has a gateway", "198.51.100.1", "ovn-udn1"},
		{"pair-two", "no address has a gateway", "", "eth0"},
	}
	sandboxes := map[string]*node.Sandbox{}
	for _, row := range rows {
		// A definition that comes late is NET-13's.
		s := e.Sandbox(node.Networks(row.network))
		e.Definition(row.network, severalInterfaces(e, "pair-net", []any{
			expect.ResultInterface("data0", "02:00:00:00:00:05", s.Netns, 1500), expect.ResultInterface("data1", "02:00:00:00:00:06", s.Netns, 1500),
		}, []any{map[string]any{"interface": 1, "address": "10.2.0.17/24", "gateway": "10.2.0.1"}}))
		sandboxes[row.network] = s
	}
	e.Start(ctx)
	for _, row := range rows {
		ginkgo.By(row.what)
		s := sandboxes[row.network]
		var gateways []string
		if row.gateway != "" {
			gateways = []string{row.gateway}
		}
		e.DefaultNetwork(primaryWithTwo(e, s, gateways...))
		e.MustOK(e.Add(ctx, s))
		status := expect.Settled(e, s, 4)
		var interfaces []any
		for _, element := range status {
			interfaces = append(interfaces, element["interface"])
		}
		Expect(interfaces).To(Equal([]any{"eth0", "ovn-udn1", "data0", "data1"}), "the interfaces of %v", status)
		Expect(defaultsOf(status)).To(Equal([]any{row.want}), "the interface that is default")
		Expect(status[2]["ips"]).To(Or(BeNil(), BeEmpty()), "data0 has no address")
		Expect(status[3]).To(HaveKeyWithValue("ips", []any{"10.2.0.17"}), "element 3 of network-status")
	}
	statusOfOldResult(ctx, e)
}

// statusOfOldResult has a delegate answer as CNI before 0.3.0 did: with addresses,
// and without interfaces (NPWG standard, sections 5.1.1 and 5.3.3.1).
func statusOfOldResult(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a result before 0.3.0")
	e.DefaultNetwork(e.FakeList("default"))
	e.Definition("old", expect.Versioned(e.FakeList("old-net", script.Fake{Add: script.FakeStep{Result: map[string]any{
		"cniVersion": "0.2.0", "ip4": map[string]any{"ip": "192.0.2.9/24"}, "ip6": map[string]any{"ip": "2001:db8::9/64"},
	}}}), "0.2.0"))
	s := e.Sandbox(node.Networks("old"))
	e.MustOK(e.Add(ctx, s))
	elements := elementsOf(expect.Settled(e, s, 2), e.Namespace+"/old")
	Expect(elements).To(HaveLen(1), "elements of a result of CNI 0.2.0")
	Expect(elements[0]).To(HaveKeyWithValue("ips", []any{"192.0.2.9", "2001:db8::9"}), "the element of a result of CNI 0.2.0")
}

// statusOfNoInterface is NET-22. Controllers that plug networks compare the
// status with what they asked for: an element of something that is not an interface
// is taken for one that has to go.
func statusOfNoInterface(ctx context.Context, e *thick.Env) {
	e.Definition("bare", severalInterfaces(e, "bare-net", []any{}, []any{}))
	e.Definition("outside", severalInterfaces(e, "outside-net", []any{expect.ResultInterface("host3", "02:ff:ff:ff:ff:fc", "", 1500)},
		[]any{map[string]any{"address": "192.0.2.33/24"}}))
	var options []thick.StartOption
	if e.Supports(thick.FeatureChain) {
		options = auxiliaryChain(e)
	}
	e.Start(ctx, options...)
	s := e.Sandbox(node.Networks("bare,outside"))
	e.MustOK(e.Add(ctx, s))
	if e.Supports(thick.FeatureChain) {
		Expect(node.NetworksOf(e.CallsFor("ADD", s))).To(ContainElement("the-chain"), "networks whose delegates ran")
	}
	status := expect.Settled(e, s, 1)
	Expect(elementsOf(status, "default")).To(HaveLen(1), "the default network in %v", status)
	for _, element := range status {
		name, _ := element["name"].(string)
		Expect([]string{"default", e.Namespace + "/bare", e.Namespace + "/outside"}).To(ContainElement(name), "the networks of the status")
		if name != "default" {
			Expect(element["interface"]).To(Or(BeNil(), BeEmpty()), "the interface of %s, which has none", name)
			Expect(element["mac"]).To(Or(BeNil(), BeEmpty()), "the mac of %s, which has no interface", name)
		}
	}
	Expect(defaultsOf(status)).To(Equal([]any{"eth0"}), "the interface that is default")
	if !e.Supports(thick.FeatureChain) || !e.Supports(thick.FeatureHotplug) {
		return
	}
	ginkgo.By("a network is plugged under the first name that is free in the sandbox, and unplugged")
	plugged := e.Sandbox()
	e.MustOK(e.Add(ctx, plugged))
	e.MustOK(expect.Hotplug(ctx, e, plugged, "ADD", "net1", e.FakeList("hot")))
	// That the status has what is plugged is HOT-07's.
	Expect(expect.StatusNames(e, plugged)).To(Or(Equal([]string{"default as eth0", "hot as net1"}), Equal([]string{"default as eth0"})), "elements of network-status")
	e.MustOK(expect.Hotplug(ctx, e, plugged, "DEL", "net1", e.FakeList("hot")))
	expect.ShowsNames(e, plugged, "default as eth0")
	e.ResetCalls()
	e.MustOK(e.Del(ctx, plugged))
	Expect(node.NetworksOf(e.CallsFor("DEL", plugged))).To(Equal([]string{"the-chain", "default"}), "networks that the sandbox's DEL deletes")
}

// auxiliaryChain puts an auxiliary chain beside the default network, and
// returns what has the daemon run it.
func auxiliaryChain(e *thick.Env) []thick.StartOption {
	ginkgo.GinkgoHelper()
	const head = "#!/bin/sh\n[ \"$CNI_COMMAND\" != ADD ] || echo '{\"cniVersion\":\"1.0.0\"}'\n"
	for _, name := range []string{"thicket-passthrough", "passthru"} {
		Expect(os.WriteFile(filepath.Join(e.BinDir, name), []byte(head), 0o700)).To(Succeed())
	}
	e.File("net.d/the-chain/10-last.conf", string(node.MustJSON(e.Plugin(script.Fake{Add: script.FakeStep{Result: map[string]any{}}}))))
	return []thick.StartOption{
		thick.DefaultNetworkIs(filepath.Join(e.ConfDir, "10-default.conflist")), thick.AuxiliaryChain("the-chain"),
	}
}
