// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var distinctCases = []plugin.Case{
	{ID: "IPAM-02", Level: spec.Must, Source: "CNI §3, wb#97, wb#110", Needs: []spec.Feature{plugin.FeaturePool}, Slow: 10 * time.Second,
		Title: "Containers, and the interfaces of one, get different addresses within the ranges, also 40 at once; never network, broadcast or gateway",
		Body:  distinctAddresses},
}

func distinctAddresses(ctx context.Context, e *plugin.Env) {
	var all []*plugin.Attachment
	for range 20 {
		a := e.Attach()
		all = append(all, a, e.AttachTo(a.Sandbox, "eth1"))
	}
	holders := map[netip.Addr]string{}
	for i, answer := range e.BeginAll(ctx, "ADD", all) {
		e.MustOK(answer)
		mine := fmt.Sprintf("%s of container %d", all[i].IfName, i/2)
		for _, ip := range answer.Result().IPs {
			expectUsable(e, ip)
			address := netip.MustParsePrefix(ip.Address).Addr()
			Expect(holders).NotTo(HaveKey(address), "%s was given to %s, and to %s", address, holders[address], mine)
			holders[address] = mine
		}
	}
	Expect(len(holders)).To(BeNumerically(">=", len(all)), "addresses of %d interfaces", len(all))
}

// expectUsable asserts that an address is one of the network that a container
// can have.
func expectUsable(e *plugin.Env, ip plugin.IP) {
	ginkgo.GinkgoHelper()
	p, err := netip.ParsePrefix(ip.Address)
	Expect(err).NotTo(HaveOccurred(), "an address of the result")
	Expect(p.Addr().String()).NotTo(Equal(ip.Gateway), "the address is the gateway's")
	if p.Addr().Is4() && p.Bits() < 31 {
		Expect(p.Addr()).NotTo(Equal(p.Masked().Addr()), "the address is the network's own")
		Expect(p.Addr()).NotTo(Equal(last(p)), "the address is the broadcast address")
	}
	for _, subnet := range e.Subnets {
		if netip.MustParsePrefix(subnet).Contains(p.Addr()) {
			return
		}
	}
	ginkgo.Fail(fmt.Sprintf("%s is in none of the networks %v", p.Addr(), e.Subnets))
}

// last is the last address of a network of IPv4.
func last(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(a)
}
