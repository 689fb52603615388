// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/script"
)

// bridgeNetwork is a real bridge network with both families: subnets
// 10.N.0.0/24 and fd00:N::/64, gateways at their first addresses, and the
// default routes when it is to have them.
func bridgeNetwork(e *thick.Env, name string, n int, defaults bool) string {
	ginkgo.GinkgoHelper()
	ranges := []any{
		[]any{map[string]any{"subnet": fmt.Sprintf("10.%d.0.0/24", n)}},
		[]any{map[string]any{"subnet": fmt.Sprintf("fd00:%d::/64", n)}},
	}
	ipam := map[string]any{"type": "host-local", "dataDir": e.Dir + "/leases", "ranges": ranges}
	if defaults {
		ipam["routes"] = []any{map[string]any{"dst": "0.0.0.0/0"}, map[string]any{"dst": "::/0"}}
	}
	return string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": []any{map[string]any{
		"type": "bridge", "bridge": fmt.Sprintf("br-%d", n), "isGateway": true, "ipam": ipam,
	}}}))
}

// defaultRoutes lists the sandbox's default routes of a family as "gateway on
// interface", sorted.
func defaultRoutes(s *node.Sandbox, family int) []string {
	ginkgo.GinkgoHelper()
	found := []string{}
	s.Do(func() error {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: 254}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return err
		}
		for _, r := range routes {
			if r.Dst != nil && !isAnywhere(r.Dst) {
				continue
			}
			link, err := netlink.LinkByIndex(r.LinkIndex)
			if err != nil {
				return err
			}
			found = append(found, fmt.Sprintf("%s on %s", r.Gw, link.Attrs().Name))
		}
		return nil
	})
	slices.Sort(found)
	return found
}

func isAnywhere(n *net.IPNet) bool {
	ones, _ := n.Mask.Size()
	return ones == 0 && n.IP.IsUnspecified()
}

// defaultRouteMoves is NET-03, with real plugins. A default route is the
// sandbox's only one of its family, and CHECK agrees with what was changed.
func defaultRouteMoves(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	e.DefaultNetwork(observed(bridgeNetwork(e, "default", 1, true), e.FakeList("default")))
	e.Definition("plain", bridgeNetwork(e, "plain", 2, false))
	e.Definition("greedy", bridgeNetwork(e, "greedy", 3, true))
	e.Start(ctx)
	const v4, v6 = netlink.FAMILY_V4, netlink.FAMILY_V6
	for _, move := range []struct {
		networks, v4, v6 string
	}{
		{`[{"name":"plain"}]`, "10.1.0.1 on eth0", "fd00:1::1 on eth0"},
		{`[{"name":"plain","default-route":["10.2.0.1"]}]`, "10.2.0.1 on net1", "fd00:1::1 on eth0"},
		{`[{"name":"plain","default-route":["fd00:2::1"]}]`, "10.1.0.1 on eth0", "fd00:2::1 on net1"},
		{`[{"name":"plain","default-route":["10.2.0.1","fd00:2::1"]}]`, "10.2.0.1 on net1", "fd00:2::1 on net1"},
		{`[{"name":"plain"},{"name":"plain","interface":"up0","default-route":["10.2.0.1","fd00:2::1"]}]`, "10.2.0.1 on up0", "fd00:2::1 on up0"},
		{`[{"name":"greedy","default-route":["10.3.0.1","fd00:3::1"]},{"name":"plain"}]`, "10.3.0.1 on net1", "fd00:3::1 on net1"},
	} {
		ginkgo.By("networks: " + move.networks)
		s := e.Sandbox(node.Networks(move.networks))
		e.MustOK(e.Add(ctx, s))
		Expect(defaultRoutes(s, v4)).To(Equal([]string{move.v4}), "IPv4 default routes with networks: %s", move.networks)
		Expect(defaultRoutes(s, v6)).To(Equal([]string{move.v6}), "IPv6 default routes with networks: %s", move.networks)
		e.MustOK(e.Check(ctx, s))
		expectDefaultsChecked(e, s, move.v4, move.v6)
		e.MustOK(e.Del(ctx, s))
	}
	defaultRouteOfSecondInterface(ctx, e)
}

// defaultRouteOfSecondInterface has a default network with two interfaces, of
// which the second one has the default route: it is moved from there.
func defaultRouteOfSecondInterface(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the default network has the default route on its second interface")
	e.Definition("moved", e.FakeList("moved", script.Fake{Add: script.FakeStep{Veth: true, Addresses: []string{"10.4.0.2/24"}}, Del: script.FakeStep{Veth: true}}))
	s := e.Sandbox(node.Networks(`[{"name":"moved","default-route":["10.4.0.1"]}]`))
	s.AddInterface("second0")
	s.Do(func() error { return configure("second0", "10.5.0.2/24", "10.5.0.1") })
	e.DefaultNetwork(e.FakeList("default", script.Fake{Add: script.FakeStep{Veth: true, Addresses: []string{"10.6.0.2/24"}, Result: map[string]any{
		"cniVersion": "1.0.0",
		"interfaces": []any{map[string]any{"name": s.IfName, "sandbox": s.Netns}, map[string]any{"name": "second0", "sandbox": s.Netns}},
		"ips":        []any{map[string]any{"interface": 0, "address": "10.6.0.2/24"}, map[string]any{"interface": 1, "address": "10.5.0.2/24", "gateway": "10.5.0.1"}},
		"routes":     []any{map[string]any{"dst": "0.0.0.0/0", "gw": "10.5.0.1"}},
	}}, Del: script.FakeStep{Veth: true}}))
	e.MustOK(e.Add(ctx, s))
	Expect(defaultRoutes(s, netlink.FAMILY_V4)).To(Equal([]string{"10.4.0.1 on net1"}), "IPv4 default routes")
	e.MustOK(e.Del(ctx, s))
	s.DeleteInterface("second0")
}

// configure brings an interface up with an address and a default route.
func configure(name, address, gateway string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}
	if err := errors.Join(netlink.AddrAdd(link, addr), netlink.LinkSetUp(link)); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(gateway)})
}

// observed appends the plugins of another list, which see what the first ones
// answered.
func observed(list, by string) string {
	ginkgo.GinkgoHelper()
	var first, second map[string]any
	Expect(json.Unmarshal([]byte(list), &first)).To(Succeed())
	Expect(json.Unmarshal([]byte(by), &second)).To(Succeed())
	first["plugins"] = append(first["plugins"].([]any), second["plugins"].([]any)...)
	return string(node.MustJSON(first))
}

// expectDefaultsChecked asserts that the default network's CHECK is about the
// default routes that it still has: bridge itself is content with any. That
// CHECK reaches delegates, with a prevResult, is not this case's.
func expectDefaultsChecked(e *thick.Env, s *node.Sandbox, holders ...string) {
	ginkgo.GinkgoHelper()
	calls := e.CallsFor("CHECK", s)
	if len(calls) == 0 {
		return
	}
	prev, _ := calls[0].Config()["prevResult"].(map[string]any)
	if prev == nil {
		return
	}
	found, want := []string{}, []string{}
	routes, _ := prev["routes"].([]any)
	for i, dst := range []string{"0.0.0.0/0", "::/0"} {
		if strings.HasSuffix(holders[i], " on eth0") {
			want = append(want, dst)
		}
		if slices.ContainsFunc(routes, func(r any) bool { route, _ := r.(map[string]any); return route["dst"] == dst }) {
			found = append(found, dst)
		}
	}
	Expect(found).To(Equal(want), "default routes in the prevResult of the default network's CHECK; they are %s", holders)
}
