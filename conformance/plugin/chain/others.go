// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/spec"
)

var othersCases = []plugin.Case{
	{ID: "CHN-09", Level: spec.Must, Source: "CNI §2 DEL, plugins#1139", Timeout: 3 * time.Minute,
		Title: "DEL removes this container's part alone, also when another one has its address by now", Body: delOfOthers},
}

func delOfOthers(ctx context.Context, e *plugin.Env) {
	expectKept(ctx, e, e.Attach(), e.Attach(), "of another container")
	// The first one's address was given to the second before the first one's DEL.
	old, heir := e.Attach(), e.Attach()
	heir.Base["ips"] = old.Base["ips"]
	expectKept(ctx, e, old, heir, "of a container that had the address before")
}

// expectKept asserts that the second one has all that is its own after the DEL
// of the first.
func expectKept(ctx context.Context, e *plugin.Env, first, second *plugin.Attachment, what string) {
	ginkgo.GinkgoHelper()
	bare := e.State(second.Sandbox)
	additions := func() []string {
		return slices.DeleteFunc(e.Changes(bare, false, second.Sandbox), func(line string) bool {
			// Files' contents may be of all containers.
			return !strings.Contains(line, "+ ") || strings.Contains(line, "+ file ")
		})
	}
	first.MustAdd(ctx)
	firsts := additions()
	second.MustAdd(ctx)
	own := without(additions(), firsts)
	first.MustDel(ctx)
	kept := additions()
	Expect(without(own, kept)).To(BeEmpty(), "what a container lacks after the DEL %s", what)
	if e.Target.Has(plugin.FeatureCheck) && plugin.AtLeast(e.Version, "0.4.0") {
		answer := second.Check(ctx)
		Expect(answer.OK()).To(BeTrue(), "CHECK of a container after the DEL %s: %s", what, answer.String())
	}
	second.MustDel(ctx)
	// What both of them have the same is seen only when the second one is alone.
	if answer := second.Add(ctx); answer.OK() {
		Expect(without(anyMAC(additions()), anyMAC(kept))).To(BeEmpty(), "what a container lacked after the DEL %s", what)
		second.MustDel(ctx)
	}
}

// anyMAC leaves out the addresses of links: what ADD makes anew, such as a VRF, gets
// another one from the kernel.
func anyMAC(lines []string) []string {
	var all []string
	for _, line := range lines {
		all = append(all, linkAddress.ReplaceAllString(line, ""))
	}
	return all
}

var linkAddress = regexp.MustCompile(` mac [0-9a-f:]+`)

// without are the lines of a that are not among those of b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
}
