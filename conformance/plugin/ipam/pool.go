// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
)

// Variants of a target file that cases of this profile ask for.
const (
	// variantDual is the network with two IPv6 addresses to give away beside those
	// of {{.Subnet}}.
	variantDual = "dual"
	// variantNone is a network without addresses of its own.
	variantNone = "none"
)

// largest is more addresses than a pool has that is filled here.
const largest = 12

// smallPool has the network be one of five or six addresses.
func smallPool(e *plugin.Env) {
	ginkgo.GinkgoHelper()
	p := netip.MustParsePrefix(e.Subnets[0])
	e.UseSubnets(netip.PrefixFrom(p.Addr(), p.Addr().BitLen()-3).String())
}

// fill attaches containers until there is no address left. The case is skipped
// when that does not come: the target file does not take {{.Subnet}}, or the
// plugin does not choose from it.
func fill(ctx context.Context, e *plugin.Env) []*plugin.Attachment {
	ginkgo.GinkgoHelper()
	var all []*plugin.Attachment
	for len(all) < largest {
		a := e.Attach()
		answer := a.Add(ctx)
		if !answer.OK() {
			Expect(answer.Killed).To(BeEmpty(), "%s", answer.String())
			return all
		}
		Expect(a.Result).NotTo(BeNil(), "the result of %s", answer.String())
		all = append(all, a)
	}
	e.Skipf("after %d containers in %s the plugin still has addresses: its configuration has to take them from {{.Subnet}}", largest, e.Subnets[0])
	return nil
}

// release deletes attachments.
func release(ctx context.Context, all []*plugin.Attachment) {
	ginkgo.GinkgoHelper()
	for _, a := range all {
		a.MustDel(ctx)
		a.Result = nil
	}
}

// expectFree asserts that a network has exactly these addresses to give away, by
// taking all that there are and giving them back.
func expectFree(ctx context.Context, e *plugin.Env, want []netip.Addr, why string) {
	ginkgo.GinkgoHelper()
	taken := fill(ctx, e)
	got := addresses(taken...)
	release(ctx, taken)
	Expect(texts(got)).To(ConsistOf(texts(want)), "%s: the addresses that the network has to give away then", why)
}

func texts(all []netip.Addr) []string {
	found := []string{}
	for _, a := range all {
		found = append(found, a.String())
	}
	return found
}

// addresses are those of all attachments.
func addresses(all ...*plugin.Attachment) []netip.Addr {
	found := []netip.Addr{}
	for _, a := range all {
		found = append(found, a.Result.Addresses()...)
	}
	return found
}

// host is the nth address of the network, with the network's length.
func host(e *plugin.Env, n int) string {
	p := netip.MustParsePrefix(e.Subnets[0])
	a := p.Addr()
	for range n {
		a = a.Next()
	}
	return netip.PrefixFrom(a, p.Bits()).String()
}

// has reports whether the result has an address, which is given with a length.
func has(r *plugin.Result, address string) bool {
	return slices.Contains(r.Addresses(), netip.MustParsePrefix(address).Addr())
}
