// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var gcCases = []plugin.Case{
	{ID: "IPAM-10", Level: spec.Must, Source: "CNI §2 GC, plugins#1289", Since: "1.1.0", Needs: []spec.Feature{plugin.FeatureGC, plugin.FeaturePool}, Slow: 5 * time.Second,
		Title: "GC keeps every valid attachment's address and the allocator's own files", Body: gcKeeps},
	{ID: "IPAM-11", Level: spec.Should, Source: "CNI §2 GC, plugins#1047", Since: "1.1.0", Needs: []spec.Feature{plugin.FeatureGC, plugin.FeaturePool}, Slow: 5 * time.Second,
		Title: "GC releases all others", Body: gcReleases},
}

func gcKeeps(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	first := e.Attach()
	second := e.AttachTo(first.Sandbox, "eth1")
	third := e.Attach()
	for _, a := range []*plugin.Attachment{first, second, third} {
		a.MustAdd(ctx)
	}
	before := e.State()
	e.MustOK(e.GC(ctx, first, second, third))
	Expect(removedFiles(e, before)).To(BeEmpty(), "files that GC removed though every attachment is valid")
	// One that is not valid any more, so that GC has something to do.
	e.Attach().MustAdd(ctx)
	e.MustOK(e.GC(ctx, first, second, third))
	kept := addresses(first, second, third)
	for _, a := range fill(ctx, e) {
		for _, address := range a.Result.Addresses() {
			Expect(kept).NotTo(ContainElement(address), "addresses of valid attachments; GC released one, and another container got it")
		}
	}
}

func removedFiles(e *plugin.Env, since plugin.State) []string {
	removed := []string{}
	for _, change := range e.Changes(since, false) {
		words := strings.Fields(change)
		if len(words) < 3 || words[0] != "-" || words[1] != "file" {
			continue
		}
		if _, err := os.Lstat(words[2]); errors.Is(err, fs.ErrNotExist) {
			removed = append(removed, words[2])
		}
	}
	return removed
}

func gcReleases(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	valid := e.Attach()
	other := e.AttachTo(valid.Sandbox, "eth1")
	valid.MustAdd(ctx)
	other.MustAdd(ctx)
	rest := fill(ctx, e)
	e.MustOK(e.GC(ctx, valid))
	expectFree(ctx, e, addresses(append(rest, other)...), "after GC with one valid attachment")
}
