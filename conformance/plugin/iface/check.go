// SPDX-License-Identifier: Apache-2.0

package iface

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var checkCases = []plugin.Case{
	{ID: "PLUG-17", Level: spec.Must, Source: "CNI §2 CHECK, cni#943, ocicni#74", Since: "0.4.0", Needs: []spec.Feature{plugin.FeatureCheck},
		Title: "CHECK succeeds right after ADD and when later plugins added things, changes nothing, and fails without prevResult", Body: checkSucceeds},
	{ID: "PLUG-18", Level: spec.Should, Source: "CNI §2 CHECK, kmesh#1817", Since: "0.4.0", Needs: []spec.Feature{plugin.FeatureCheck},
		Title: "CHECK fails when an interface, address or route of its result, or its host side, is gone or down", Body: checkNotices},
}

func checkSucceeds(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	a.MustAdd(ctx)
	before := e.State(a.Sandbox)
	e.MustOK(a.Check(ctx))
	e.ExpectUnchanged(before, "what CHECK changed", a.Sandbox)

	addThings(a)
	e.MustOK(a.Check(ctx))

	e.MustFail(a.Check(ctx, plugin.NoPrevResult()), "CHECK without prevResult")
	a.MustDel(ctx)
}

// addThings adds what later plugins of a list add: another interface, an address,
// a route, and an alias.
func addThings(a *plugin.Attachment) {
	ginkgo.GinkgoHelper()
	a.AddInterface("later0")
	a.Inside(func() {
		l, err := netlink.LinkByName("later0")
		Expect(err).NotTo(HaveOccurred())
		addr, err := netlink.ParseAddr("198.51.100.1/24")
		Expect(err).NotTo(HaveOccurred())
		Expect(netlink.AddrAdd(l, addr)).To(Succeed())
		Expect(netlink.LinkSetUp(l)).To(Succeed())
		own, err := netlink.LinkByName(a.IfName)
		Expect(err).NotTo(HaveOccurred())
		more, err := netlink.ParseAddr("203.0.113.9/32")
		Expect(err).NotTo(HaveOccurred())
		Expect(netlink.AddrAdd(own, more)).To(Succeed())
		_, dst, err := net.ParseCIDR("203.0.113.128/25")
		Expect(err).NotTo(HaveOccurred())
		Expect(netlink.RouteAdd(&netlink.Route{LinkIndex: own.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK})).To(Succeed())
	})
}

// theft takes one thing of an attachment away. It says what, "" when the
// attachment has no such thing. pairs are the veths that ADD made on the host.
type theft func(a *plugin.Attachment, pairs []string) (what string)

func checkNotices(ctx context.Context, e *plugin.Env) {
	var unnoticed []string
	for _, take := range []theft{takeAddress, takeRoute, takeInterface, downInterface, takeHostEnd, downHostEnd} {
		a := e.Attach()
		before := e.State()
		a.MustAdd(ctx)
		e.MustOK(a.Check(ctx))
		what := take(a, plugin.NewLinks(e.Changes(before, false), "veth"))
		if what == "" {
			continue
		}
		if answer := a.Check(ctx); !answer.Failed() {
			unnoticed = append(unnoticed, fmt.Sprintf("%s: %s", what, answer.String()))
		}
		a.Del(ctx)
	}
	Expect(unnoticed).To(BeEmpty(), "what CHECK does not notice")
}

func takeAddress(a *plugin.Attachment, _ []string) string {
	if len(a.Result.IPs) == 0 {
		return ""
	}
	a.DeleteAddress(a.IfName, a.Result.IPs[0].Address)
	return "the address " + a.Result.IPs[0].Address + " is gone"
}

// takeRoute removes a route of the result as the kernel has it, whatever its scope
// and table. A route by way of a gateway comes first: without it the container
// reaches less, which need not be true of one to the gateway itself.
func takeRoute(a *plugin.Attachment, _ []string) (what string) {
	ginkgo.GinkgoHelper()
	routes := slices.Clone(a.Result.Routes)
	slices.SortStableFunc(routes, func(x, y plugin.Route) int { return cmp.Compare(rank(x), rank(y)) })
	a.Inside(func() {
		all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		Expect(err).NotTo(HaveOccurred())
		for _, r := range routes {
			_, dst, err := net.ParseCIDR(r.Dst)
			Expect(err).NotTo(HaveOccurred(), "dst of a route: %s", a.Result.Raw)
			for _, have := range all {
				if have.Table == unix.RT_TABLE_LOCAL || describe(have.Dst, nil) != describe(dst, nil) {
					continue
				}
				Expect(netlink.RouteDel(&have)).To(Succeed(), "remove the route %s", have)
				what = "the route to " + r.Dst + " is gone"
			}
			if what != "" {
				return
			}
		}
	})
	return what
}

// rank puts routes by way of a gateway before others.
func rank(r plugin.Route) int {
	if r.GW != "" {
		return 0
	}
	return 1
}

func takeInterface(a *plugin.Attachment, _ []string) string {
	a.DeleteInterface(a.IfName)
	return "the interface " + a.IfName + " is gone"
}

func downInterface(a *plugin.Attachment, _ []string) string {
	a.Inside(func() {
		l, err := netlink.LinkByName(a.IfName)
		Expect(err).NotTo(HaveOccurred())
		Expect(netlink.LinkSetDown(l)).To(Succeed())
	})
	return "the interface " + a.IfName + " is down"
}

// takeHostEnd removes an interface that ADD made on the host for this container.
// Where the pair goes with it, the container's interface does as well.
func takeHostEnd(_ *plugin.Attachment, pairs []string) string {
	if len(pairs) == 0 {
		return ""
	}
	l, err := netlink.LinkByName(pairs[0])
	Expect(err).NotTo(HaveOccurred())
	Expect(netlink.LinkDel(l)).To(Succeed())
	return "the host's interface " + pairs[0] + " is gone"
}

func downHostEnd(_ *plugin.Attachment, pairs []string) string {
	if len(pairs) == 0 {
		return ""
	}
	l, err := netlink.LinkByName(pairs[0])
	Expect(err).NotTo(HaveOccurred())
	Expect(netlink.LinkSetDown(l)).To(Succeed())
	return "the host's interface " + pairs[0] + " is down"
}
