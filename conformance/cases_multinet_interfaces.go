// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"os"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func init() {
	register(
		Case{
			ID: "NET-20", Profile: "multinet", Level: Must, Source: "NPWG §5.1.1, §5.3.2 to 5.3.5", Body: statusOfInterfaces,
			Title: "An element of network-status names an interface that the result has in the sandbox, with that one's mac, mtu and addresses; one element is default",
		},
		Case{
			ID: "NET-21", Profile: "multinet", Level: Should, Source: "NADc, #1314", Body: statusOfSeveralInterfaces,
			Title: "A result with several sandbox interfaces is as many elements; default is the one whose address has a gateway, else the first",
		},
		Case{
			ID: "NET-22", Profile: "multinet", Level: Must, Source: "dynamic-networks-controller", Body: statusOfNoInterface,
			Title: "network-status shows no interface that does not exist, neither for an auxiliary chain nor for a delegate that answered without one",
		},
	)
}

// resultInterface is an interface of a result; a host's end has no sandbox.
func resultInterface(name, mac, sandbox string, mtu int) map[string]any {
	i := map[string]any{"name": name, "mac": mac, "mtu": mtu}
	if sandbox != "" {
		i["sandbox"] = sandbox
	}
	return i
}

// severalInterfaces is a delegate of CNI 1.1 that answers with these interfaces
// and addresses.
func (e *Env) severalInterfaces(network string, interfaces, ips []any) string {
	return versioned(e.FakeList(network, Fake{Add: FakeStep{Result: map[string]any{
		"cniVersion": "1.1.0", "interfaces": interfaces, "ips": ips, "routes": []any{}, "dns": map[string]any{},
	}}}), "1.1.0")
}

// primaryWithTwo is a default network with two interfaces in the sandbox, as
// OVN-Kubernetes has it for a pod with a primary network of its own. The host's
// end comes between them, so that an index is not a place among the sandbox's.
func (e *Env) primaryWithTwo(s *Sandbox, gateways ...string) string {
	address := func(n int, cidr string) map[string]any { return map[string]any{"interface": n, "address": cidr} }
	ips := []any{address(0, "192.0.2.17/24"), address(2, "198.51.100.17/24"), address(2, "2001:db8::17/64"), address(1, "203.0.113.1/24")}
	if len(gateways) > 0 {
		ips[1].(map[string]any)["gateway"] = gateways[0]
	}
	return e.severalInterfaces("default", []any{
		resultInterface("eth0", "02:00:00:00:00:01", s.Netns, 1400),
		resultInterface("host0", "02:ff:ff:ff:ff:ff", "", 9000),
		resultInterface("ovn-udn1", "02:00:00:00:00:02", s.Netns, 1300),
	}, ips)
}

// statusOfInterfaces is NET-20. It asks nothing of how many elements a result
// with several interfaces makes, which is NET-21's.
func statusOfInterfaces(ctx context.Context, e *Env) {
	s := e.Sandbox(Networks("renamed,unnumbered"))
	e.DefaultNetwork(e.primaryWithTwo(s, "198.51.100.1"))
	e.Definition("renamed", e.severalInterfaces("renamed-net", []any{
		resultInterface("host1", "02:ff:ff:ff:ff:fe", "", 9000),
		resultInterface("tap-x", "02:00:00:00:00:03", s.Netns, 1350),
	}, []any{map[string]any{"interface": 0, "address": "203.0.113.2/24"}, map[string]any{"interface": 1, "address": "203.0.113.17/24"}}))
	e.Definition("unnumbered", e.severalInterfaces("unnumbered-net", []any{
		resultInterface("net2", "02:00:00:00:00:04", s.Netns, 1320),
		resultInterface("host2", "02:ff:ff:ff:ff:fd", "", 9000),
	}, []any{map[string]any{"address": "10.1.0.17/24"}, map[string]any{"address": "2001:db8:1::17/64"}}))
	e.Start(ctx)
	e.MustOK(e.Add(ctx, s))

	status := e.Status(s)
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

// statusOfSeveralInterfaces is NET-21.
func statusOfSeveralInterfaces(ctx context.Context, e *Env) {
	e.Start(ctx)
	for _, row := range []struct{ what, gateway, want string }{
		{"an address of the second interface has a gateway", "198.51.100.1", "ovn-udn1"},
		{"no address has a gateway", "", "eth0"},
	} {
		ginkgo.By(row.what)
		s := e.Sandbox(Networks("pair"))
		var gateways []string
		if row.gateway != "" {
			gateways = []string{row.gateway}
		}
		e.DefaultNetwork(e.primaryWithTwo(s, gateways...))
		e.Definition("pair", e.severalInterfaces("pair-net", []any{
			resultInterface("data0", "02:00:00:00:00:05", s.Netns, 1500), resultInterface("data1", "02:00:00:00:00:06", s.Netns, 1500),
		}, []any{map[string]any{"interface": 1, "address": "10.2.0.17/24", "gateway": "10.2.0.1"}}))
		e.MustOK(e.Add(ctx, s))
		status := e.Status(s)
		var interfaces []any
		for _, element := range status {
			interfaces = append(interfaces, element["interface"])
		}
		Expect(interfaces).To(Equal([]any{"eth0", "ovn-udn1", "data0", "data1"}), "the interfaces of %v", status)
		Expect(defaultsOf(status)).To(Equal([]any{row.want}), "the interface that is default")
		Expect(status[2]["ips"]).To(Or(BeNil(), BeEmpty()), "data0 has no address")
		Expect(status[3]).To(HaveKeyWithValue("ips", []any{"10.2.0.17"}))
	}
}

// statusOfNoInterface is NET-22. Controllers that plug networks compare the
// status with what they asked for: an element of something that is no interface
// is taken for one that has to go.
func statusOfNoInterface(ctx context.Context, e *Env) {
	e.Definition("bare", e.severalInterfaces("bare-net", []any{}, []any{}))
	e.Definition("outside", e.severalInterfaces("outside-net", []any{resultInterface("host3", "02:ff:ff:ff:ff:fc", "", 1500)},
		[]any{map[string]any{"address": "192.0.2.33/24"}}))
	var options []StartOption
	if e.Supports(FeatureChain) {
		options = e.auxiliaryChain()
	}
	e.Start(ctx, options...)
	s := e.Sandbox(Networks("bare,outside"))
	e.MustOK(e.Add(ctx, s))
	if e.Supports(FeatureChain) {
		Expect(networksOf(e.CallsFor("ADD", s))).To(ContainElement("the-chain"), "networks whose delegates ran")
	}
	status := e.Status(s)
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
	if !e.Supports(FeatureChain) || !e.Supports(FeatureHotplug) {
		return
	}
	ginkgo.By("a network is plugged under the first name that is free in the sandbox, and unplugged")
	plugged := e.Sandbox()
	e.MustOK(e.Add(ctx, plugged))
	e.MustOK(e.hot(ctx, plugged, "ADD", "net1", e.FakeList("hot")))
	Expect(statusNames(e, plugged)).To(Equal([]string{"default as eth0", "hot as net1"}))
	e.MustOK(e.hot(ctx, plugged, "DEL", "net1", e.FakeList("hot")))
	Expect(statusNames(e, plugged)).To(Equal([]string{"default as eth0"}))
	e.ResetCalls()
	e.MustOK(e.Del(ctx, plugged))
	Expect(networksOf(e.CallsFor("DEL", plugged))).To(Equal([]string{"the-chain", "default"}), "networks that the sandbox's DEL deletes")
}

// auxiliaryChain puts an auxiliary chain beside the default network, and
// returns what has the daemon run it.
func (e *Env) auxiliaryChain() []StartOption {
	ginkgo.GinkgoHelper()
	const head = "#!/bin/sh\n[ \"$CNI_COMMAND\" != ADD ] || echo '{\"cniVersion\":\"1.0.0\"}'\n"
	for _, name := range []string{"thicket-passthrough", "passthru"} {
		Expect(os.WriteFile(filepath.Join(e.BinDir, name), []byte(head), 0o700)).To(Succeed())
	}
	e.File("net.d/the-chain/10-last.conf", string(mustJSON(e.plugin(Fake{Add: FakeStep{Result: map[string]any{}}}))))
	return []StartOption{
		setting("clusterNetwork", filepath.Join(e.ConfDir, "10-default.conflist")), setting("auxiliaryCNIChainName", "the-chain"),
	}
}
