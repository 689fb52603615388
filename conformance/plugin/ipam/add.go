// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"net/netip"
	"slices"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var addCases = []plugin.Case{
	{ID: "IPAM-05", Level: spec.Must, Source: "CNI §2 ADD, wb#738", Needs: []spec.Feature{plugin.FeaturePool}, Slow: 5 * time.Second,
		Title: "A second ADD of an attachment fails or answers the same address; no second one is taken", Body: addTwice},
	{ID: "IPAM-06", Level: spec.Must, Source: "CNI §4, spiderpool#4295", Needs: []spec.Feature{plugin.FeaturePool}, Slow: 5 * time.Second,
		Title: "An ADD that cannot be served fails and holds nothing, a half dual-stack one included", Body: addHoldsNothing},
}

func addTwice(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	all := fill(ctx, e)
	release(ctx, all)
	a := e.Attach()
	first := a.MustAdd(ctx).Addresses()
	again := e.Execute(ctx, a.Request("ADD"))
	if again.OK() {
		Expect(again.Result().Addresses()).To(Equal(first), "the addresses of a second ADD without a DEL")
	}
	Expect(fill(ctx, e)).To(HaveLen(len(all)-1), "containers that a network for %d has room for beside one that was added twice", len(all))
}

func addHoldsNothing(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	all := fill(ctx, e)
	Expect(all).NotTo(BeEmpty(), "containers in a network of eight addresses")
	for range 3 {
		e.MustFail(e.Attach().Add(ctx), "no address is left")
	}
	first, whole := addresses(all[0]), addresses(all...)
	all[0].MustDel(ctx)
	expectFree(ctx, e, first, "after ADDs that could not be served, and one DEL")
	if !e.Target.HasVariant(variantDual) {
		e.Notef("the target file has no variant %q: nothing was asked of two families", variantDual)
		return
	}
	release(ctx, all[1:])
	halfOfTwo(ctx, e, whole)
}

// halfOfTwo asks for addresses of two families when one of them has none left.
// free are the network's addresses of the other one.
func halfOfTwo(ctx context.Context, e *plugin.Env, free []netip.Addr) {
	var served []*plugin.Attachment
	for len(served) < 4 {
		a := e.Attach(variantDual)
		if answer := a.Add(ctx); !answer.OK() {
			break
		}
		Expect(a.Result.IPs).To(HaveLen(2), "addresses in a network of two families")
		served = append(served, a)
	}
	Expect(served).To(HaveLen(2), "containers that two addresses of IPv6 are enough for")
	for range 2 {
		e.MustFail(e.Attach(variantDual).Add(ctx), "no address of IPv6 is left")
	}
	taken := addresses(served...)
	free = slices.DeleteFunc(free, func(a netip.Addr) bool { return slices.Contains(taken, a) })
	expectFree(ctx, e, free, "after ADDs for which one of two families had no address left")
}
