// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"context"
	"net"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var resultCases = []plugin.Case{
	{ID: "PLUG-08", Level: spec.Must, Source: "CNI §5, aws#2961, hybridnet#383, accelerated-bridge-cni#3",
		Title: "After ADD the kernel has what the result says: interfaces (names, MACs, MTUs, host ends too), addresses, routes; sandbox is CNI_NETNS; ips point at the interface", Body: resultHolds},
}

func resultHolds(ctx context.Context, e *plugin.Env) {
	e.UseSubnets(e.Subnets[0], "fd00:"+e.ID[:4]+"::/64")
	a := e.Attach()
	before := e.State()
	r := a.MustAdd(ctx)
	expectInterfaces(r, a)
	expectAddresses(r, a)
	a.Inside(func() { expectRoutes(r) })
	for _, name := range plugin.NewLinks(e.Changes(before, false), "") {
		Expect(hostInterfaces(r)).To(ContainElement(name), "the interfaces that ADD made on the host are all in the result: %s", r.Raw)
	}
	a.MustDel(ctx)
}

// hostInterfaces are the names of the result's interfaces outside the container.
func hostInterfaces(r *plugin.Result) []string {
	names := []string{}
	for _, i := range r.Interfaces {
		if i.Sandbox == "" {
			names = append(names, i.Name)
		}
	}
	return names
}

func expectInterfaces(r *plugin.Result, a *plugin.Attachment) {
	ginkgo.GinkgoHelper()
	found := false
	for _, i := range r.Interfaces {
		if i.Sandbox == "" {
			expectInterface(i)
			continue
		}
		Expect(i.Sandbox).To(Equal(a.Netns), "sandbox of interface %s is CNI_NETNS", i.Name)
		found = found || i.Name == a.IfName
		a.Inside(func() { expectInterface(i) })
	}
	Expect(found).To(BeTrue(), "the result has an interface %s with the container's namespace: %s", a.IfName, r.Raw)
}

// expectInterface looks in the namespace of the calling thread.
func expectInterface(i plugin.Interface) {
	ginkgo.GinkgoHelper()
	l, err := netlink.LinkByName(i.Name)
	Expect(err).NotTo(HaveOccurred(), "interface %s of the result", i.Name)
	if i.Mac != "" {
		mac, err := net.ParseMAC(i.Mac)
		Expect(err).NotTo(HaveOccurred(), "mac of interface %s", i.Name)
		Expect(l.Attrs().HardwareAddr.String()).To(Equal(mac.String()), "the MAC of interface %s; the result says %s", i.Name, i.Mac)
	}
	if i.MTU != 0 {
		Expect(l.Attrs().MTU).To(Equal(i.MTU), "the MTU of interface %s", i.Name)
	}
}

func expectAddresses(r *plugin.Result, a *plugin.Attachment) {
	ginkgo.GinkgoHelper()
	for _, ip := range r.IPs {
		Expect(ip.Interface).NotTo(BeNil(), "address %s points at its interface: %s", ip.Address, r.Raw)
		Expect(*ip.Interface).To(And(BeNumerically(">=", 0), BeNumerically("<", len(r.Interfaces))), "the interface of address %s", ip.Address)
		i := r.Interfaces[*ip.Interface]
		Expect(i.Sandbox).To(Equal(a.Netns), "the interface of address %s is the container's", ip.Address)
		a.Inside(func() {
			l, err := netlink.LinkByName(i.Name)
			Expect(err).NotTo(HaveOccurred())
			addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
			Expect(err).NotTo(HaveOccurred())
			var have []string
			for _, addr := range addrs {
				have = append(have, addr.IPNet.String())
			}
			Expect(have).To(ContainElement(ip.Address), "the addresses of interface %s", i.Name)
		})
	}
}

// expectRoutes looks in the namespace of the calling thread.
func expectRoutes(r *plugin.Result) {
	ginkgo.GinkgoHelper()
	all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	Expect(err).NotTo(HaveOccurred())
	have := []string{}
	for _, route := range all {
		have = append(have, describe(route.Dst, route.Gw))
		have = append(have, describe(route.Dst, nil))
	}
	for _, route := range r.Routes {
		_, dst, err := net.ParseCIDR(route.Dst)
		Expect(err).NotTo(HaveOccurred(), "dst of a route: %s", r.Raw)
		// Without a gw a plugin may use the gateway of an address.
		Expect(have).To(ContainElement(describe(dst, net.ParseIP(route.GW))), "the container's routes, of which the result has this one")
	}
}

// describe is a route as it is compared: the kernel has no destination for a
// default route.
func describe(dst *net.IPNet, gw net.IP) string {
	text := "default"
	if dst != nil && !dst.IP.IsUnspecified() {
		text = dst.String()
	} else if dst != nil && dst.IP.To4() == nil || dst == nil && gw != nil && gw.To4() == nil {
		text = "default of IPv6"
	}
	if gw != nil {
		text += " via " + gw.String()
	}
	return text
}
