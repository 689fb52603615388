// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var damageCases = []plugin.Case{
	{ID: "IPAM-04", Level: spec.Should, Source: "CNI §2 DEL, plugins#498, projectcalico/cni-plugin#255", Needs: []spec.Feature{plugin.FeaturePool}, Slow: 5 * time.Second,
		Title: "DEL releases although the capability args are not repeated; a damaged record does not keep an address for ever",
		Body:  delReleasesAll},
}

func delReleasesAll(ctx context.Context, e *plugin.Env) {
	smallPool(e)
	args := e.Target.Has(plugin.FeatureRanges) && e.Target.HasVariant(variantNone)
	if args {
		delWithoutArgs(ctx, e)
	}
	before := e.State()
	all := fill(ctx, e)
	victim := all[1]
	files := recordsOf(e, before, victim, all)
	switch {
	case len(files) == 0 && args:
		e.Notef("the plugin keeps no file for each attachment, so none was damaged")
		return
	case len(files) == 0:
		e.Skipf("the plugin keeps no file for each attachment that could be damaged, and the target has no feature %s with a variant %q", plugin.FeatureRanges, variantNone)
	}
	for _, f := range files {
		Expect(os.Truncate(f, 0)).To(Succeed())
	}
	victim.MustDel(ctx)
	after := "after " + strings.Join(files, " and ") + " was cut to nothing, and DEL"
	if e.Target.Has(plugin.FeatureGC) && plugin.AtLeast(e.Version, "1.1.0") {
		e.MustOK(e.GC(ctx, slices.DeleteFunc(slices.Clone(all), func(a *plugin.Attachment) bool { return a == victim })...))
		after += " and GC"
	}
	expectFree(ctx, e, addresses(victim), after)
}

// delWithoutArgs has the addresses come with the capability argument ipRanges,
// at ADD alone.
func delWithoutArgs(ctx context.Context, e *plugin.Env) {
	ranges := plugin.Key("runtimeConfig", map[string]any{"ipRanges": [][]map[string]string{{{"subnet": e.Subnets[0]}}}})
	var all []*plugin.Attachment
	for len(all) < largest {
		a := e.Attach(variantNone)
		if answer := a.Add(ctx, ranges); !answer.OK() {
			break
		}
		all = append(all, a)
	}
	Expect(all).NotTo(BeEmpty(), "containers that got an address of runtimeConfig.ipRanges")
	Expect(len(all)).To(BeNumerically("<", largest), "containers in a network of eight addresses")
	e.MustOK(all[0].Del(ctx))
	next := e.Attach(variantNone)
	answer := next.Add(ctx, ranges)
	Expect(answer.OK()).To(BeTrue(), "an ADD after DEL, without runtimeConfig, of one of the containers in a full network: %s", answer.String())
	for _, a := range append(all[1:], next) {
		a.MustDel(ctx, ranges)
	}
}

// recordsOf lists the small files that came since, and that name one container
// and no other.
func recordsOf(e *plugin.Env, before plugin.State, of *plugin.Attachment, all []*plugin.Attachment) []string {
	var found []string
	for _, path := range filesSince(e, before) {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<10 {
			continue
		}
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		names := func(a *plugin.Attachment) bool {
			return bytes.Contains(content, []byte(a.ID)) || strings.Contains(path, a.ID)
		}
		if names(of) && !slices.ContainsFunc(all, func(a *plugin.Attachment) bool { return a != of && names(a) }) {
			found = append(found, path)
		}
	}
	return found
}

// filesSince lists the files that came, or have other contents, since.
func filesSince(e *plugin.Env, before plugin.State) []string {
	var paths []string
	for _, change := range e.Changes(before, false) {
		if words := strings.Fields(change); len(words) > 2 && words[0] == "+" && words[1] == "file" {
			paths = append(paths, words[2])
		}
	}
	return paths
}
