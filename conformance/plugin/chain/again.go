// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var againCases = []plugin.Case{
	{ID: "CHN-06", Level: spec.Must, Source: "CNI §2 DEL, dnsname#73, plugins#1282",
		Title: "DEL again, never added, without prevResult, without or after the namespace or interface: success, and nothing is created", Body: delAnyway},
}

func delAnyway(ctx context.Context, e *plugin.Env) {
	never := e.Attach()
	expectDel(ctx, e, never, "of what was never added", plugin.Key("prevResult", never.Base))
	expectDel(ctx, e, never, "of what was never added, without prevResult")

	a := e.Attach()
	a.MustAdd(ctx)
	a.MustDel(ctx)
	expectDel(ctx, e, a, "again")
	for what, option := range map[string]plugin.Option{
		"without prevResult":        plugin.NoPrevResult(),
		"without CNI_NETNS":         plugin.NoVar("CNI_NETNS"),
		"with an empty CNI_NETNS":   plugin.Var("CNI_NETNS", ""),
		"with a path that is gone":  plugin.Var("CNI_NETNS", a.Netns+"-gone"),
		"with nothing but the name": plugin.Stdin(string(bare(a))),
	} {
		a.MustAdd(ctx)
		expectDel(ctx, e, a, what, option)
		// What that one could not see is not to stay until the next turn.
		a.MustDel(ctx)
	}
	a.MustAdd(ctx)
	a.DeleteInterface(a.IfName)
	expectDel(ctx, e, a, "after the interface")
	b := e.Attach()
	b.MustAdd(ctx)
	b.RemoveNetns()
	expectDel(ctx, e, b, "after the namespace")
}

// bare is the attachment's configuration without prevResult and capability args.
func bare(a *plugin.Attachment) []byte {
	ginkgo.GinkgoHelper()
	return a.Request("DEL", plugin.NoPrevResult(), plugin.Key("runtimeConfig", nil)).Stdin
}

// expectDel asserts that a DEL succeeds and that nothing came with it.
func expectDel(ctx context.Context, e *plugin.Env, a *plugin.Attachment, what string, options ...plugin.Option) {
	ginkgo.GinkgoHelper()
	before := e.State(a.Sandbox)
	answer := a.Del(ctx, options...)
	Expect(answer.OK()).To(BeTrue(), "DEL %s: %s", what, answer.String())
	created := slices.DeleteFunc(e.Changes(before, true, a.Sandbox), func(line string) bool {
		return !strings.Contains(line, "+ ") || strings.Contains(line, "+ sysctl ")
	})
	Expect(created).To(BeEmpty(), "what came with a DEL %s", what)
}
