// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var othersCases = []plugin.Case{
	{ID: "CHN-09", Level: spec.Must, Source: "CNI §2 DEL, plugins#1139",
		Title: "DEL removes this container's part alone, also when another one has its address by now", Body: delOfOthers},
}

func delOfOthers(ctx context.Context, e *plugin.Env) {
	a, b := e.Attach(), e.Attach()
	expectKept(ctx, e, a, b, "of another container")
	// The first one's address was given to the second before the first one's DEL.
	heir := e.Attach()
	heir.Base["ips"] = a.Base["ips"]
	expectKept(ctx, e, a, heir, "of a container that had the address before")
}

// expectKept asserts that the second one has all that is its own after the DEL
// of the first.
func expectKept(ctx context.Context, e *plugin.Env, first, second *plugin.Attachment, what string) {
	bare := e.State(second.Sandbox)
	second.MustAdd(ctx)
	own := additions(e.Changes(bare, false, second.Sandbox))
	second.MustDel(ctx)
	first.MustAdd(ctx)
	second.MustAdd(ctx)
	first.MustDel(ctx)
	kept := additions(e.Changes(bare, false, second.Sandbox))
	missing := slices.DeleteFunc(own, func(line string) bool { return slices.Contains(kept, line) })
	Expect(missing).To(BeEmpty(), "what a container lacks after the DEL %s", what)
	if e.Target.Has(plugin.FeatureCheck) {
		e.MustOK(second.Check(ctx))
	}
	second.MustDel(ctx)
}

// additions are the lines of what came. Files are left out: their contents may
// be of all containers.
func additions(changes []string) []string {
	return slices.DeleteFunc(changes, func(line string) bool {
		return !strings.Contains(line, "+ ") || strings.Contains(line, "+ file ")
	})
}
