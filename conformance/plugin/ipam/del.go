// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var delCases = []plugin.Case{
	{ID: "IPAM-03", Level: spec.Must, Source: "CNI §2 DEL, wb#44, plugins#685", Slow: 10 * time.Second,
		Title: "DEL releases just this container's and interface's address; again, or for what never was, it succeeds; without a namespace too",
		Body:  delReleases},
}

func delReleases(ctx context.Context, e *plugin.Env) {
	stranger := e.Attach()
	e.MustOK(stranger.Del(ctx))
	if !e.Target.Has(plugin.FeaturePool) {
		delSucceeds(ctx, e)
		return
	}
	smallPool(e)
	first := e.Attach()
	second := e.AttachTo(first.Sandbox, "eth1")
	first.MustAdd(ctx)
	second.MustAdd(ctx)
	others := fill(ctx, e)
	Expect(len(others)).To(BeNumerically(">=", 2), "further containers that a network of eight addresses has room for")
	mine := addresses(first)

	first.MustDel(ctx)
	expectFree(ctx, e, mine, "after DEL of one of a container's two interfaces")
	heir := e.Attach()
	heir.MustAdd(ctx)
	e.MustOK(first.Del(ctx))
	e.MustOK(stranger.Del(ctx))
	expectFree(ctx, e, nil, "after DEL of an attachment that had been deleted, and of one that never was")
	heir.MustDel(ctx)

	for why, option := range map[string]plugin.Option{
		"after DEL without CNI_NETNS":    plugin.NoVar("CNI_NETNS"),
		"after DEL without a prevResult": plugin.NoPrevResult(),
	} {
		first.MustAdd(ctx)
		e.MustOK(first.Del(ctx, option))
		expectFree(ctx, e, mine, why)
	}
	gone := others[0]
	gone.RemoveNetns()
	e.MustOK(gone.Del(ctx))
	expectFree(ctx, e, append(mine, addresses(gone)...), "after DEL of a container whose namespace is gone")
}

// delSucceeds is what can be asked of a plugin that has no leases.
func delSucceeds(ctx context.Context, e *plugin.Env) {
	a := e.Attach()
	a.MustAdd(ctx)
	a.MustDel(ctx)
	a.MustDel(ctx)
	e.MustOK(a.Del(ctx, plugin.NoVar("CNI_NETNS")))
	e.MustOK(a.Del(ctx, plugin.NoPrevResult()))
	a.RemoveNetns()
	a.MustDel(ctx)
}
