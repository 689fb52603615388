// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var againCases = []plugin.Case{
	{ID: "CHN-06", Level: spec.Must, Source: "CNI §2 DEL, dnsname#73, plugins#1282", Timeout: 3 * time.Minute,
		Title: "DEL again, never added, without prevResult, without or after the namespace or interface: success, and nothing is created", Body: delAnyway},
}

func delAnyway(ctx context.Context, e *plugin.Env) {
	never := e.Attach()
	before := e.State(never.Sandbox)
	expectDel(ctx, e, never, before, "of what was never added", plugin.Key("prevResult", never.Base))
	expectDel(ctx, e, never, before, "of what was never added, without prevResult")

	for what, options := range map[string][]plugin.Option{
		"with everything":          nil,
		"without prevResult":       {plugin.NoPrevResult()},
		"without CNI_NETNS":        {plugin.NoVar("CNI_NETNS")},
		"with an empty CNI_NETNS":  {plugin.Var("CNI_NETNS", "")},
		"with a path that is gone": {plugin.Var("CNI_NETNS", never.Netns+"-gone")},
	} {
		a := e.Attach()
		before := e.State(a.Sandbox)
		a.MustAdd(ctx)
		expectDel(ctx, e, a, before, what, options...)
		expectDel(ctx, e, a, before, "again, "+what, options...)
	}
	a, b := e.Attach(), e.Attach()
	before = e.State(a.Sandbox)
	a.MustAdd(ctx)
	a.DeleteInterface(a.IfName)
	expectDel(ctx, e, a, before, "after the interface")
	before = e.State(b.Sandbox)
	b.MustAdd(ctx)
	b.RemoveNetns()
	expectDel(ctx, e, b, before, "after the namespace")
}

// expectDel asserts that a DEL succeeds and that nothing came with it that was
// not there before ADD either.
func expectDel(ctx context.Context, e *plugin.Env, a *plugin.Attachment, original plugin.State, what string, options ...plugin.Option) {
	ginkgo.GinkgoHelper()
	before := e.State(a.Sandbox)
	answer := a.Del(ctx, options...)
	Expect(answer.OK()).To(BeTrue(), "DEL %s: %s", what, answer.String())
	since := e.Changes(original, true, a.Sandbox)
	created := slices.DeleteFunc(e.Changes(before, true, a.Sandbox), func(line string) bool {
		return !strings.Contains(line, "+ ") || !slices.Contains(since, line)
	})
	Expect(created).To(BeEmpty(), "what came with a DEL %s", what)
}
