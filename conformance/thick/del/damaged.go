// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"io/fs"
	"os"
	"slices"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// delDamagedRecord is DEL-07. What the target keeps of some containers is damaged,
// whatever its format and wherever it lies in the cache directory. Another
// container must not notice, where it has files of its own; a target with one
// file for all is held to what came after the damage.
func delDamagedRecord(ctx context.Context, e *thick.Env) {
	e.RealInterfaces()
	e.AllowLeftovers("damaged records are kept aside where the target likes")
	e.DefaultNetwork(e.FakeList("default", expect.Numbered(script.Fake{}, script.Fake{})...))
	e.Definition("blue", e.FakeList("blue"))
	d := e.Start(ctx)
	kept := expect.WatchKept(e)
	healthy, podless := e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue"))
	kept.Add(ctx, healthy)
	kept.Add(ctx, podless)
	var spoilt []*node.Sandbox
	for range expect.Damages("") {
		s := e.Sandbox(node.Networks("blue"))
		kept.Add(ctx, s)
		spoilt = append(spoilt, s)
	}
	switch {
	case len(kept.Shared()) > 0:
		for _, s := range append(spoilt, healthy, podless) {
			e.MustOK(e.Del(ctx, s))
		}
		delWithSharedFile(ctx, e, d)
	case len(kept.Of(healthy)) > 0 && len(kept.Of(spoilt[0])) > 0:
		delWithOwnFiles(ctx, e, d, kept, healthy, podless, spoilt)
	default:
		e.Skipf("the target changes no file below its cache directory at ADD, so there is no record to damage")
	}
}

// delWithOwnFiles damages the files of each container in another way.
func delWithOwnFiles(ctx context.Context, e *thick.Env, d *thick.Daemon, kept *expect.Kept, healthy, podless *node.Sandbox, spoilt []*node.Sandbox) {
	ginkgo.GinkgoHelper()
	if e.Supports(thick.FeatureRestart) {
		d.Stop(ctx)
	}
	contents := map[*node.Sandbox][]string{}
	for i, s := range spoilt {
		contents[s] = expect.Spoil(kept.Of(s), expect.Damages(s.ID)[i])
	}
	contents[podless] = expect.Spoil(kept.Of(podless), expect.Damages(podless.ID)[0])
	e.DeletePod(podless)
	if e.Supports(thick.FeatureRestart) {
		e.Start(ctx)
	}

	ginkgo.By("another container's CHECK")
	e.MustOK(e.Check(ctx, healthy))
	for i, s := range spoilt {
		ginkgo.By("DEL with records that are " + expect.Damages("")[i].What)
		delSpoilt(ctx, e, s, contents[s])
		Expect(attachmentsOf(e.CallsFor("DEL", s))).To(ContainElement("blue net1"), "the pod's further network gets its DEL too")
	}
	ginkgo.By("DEL with garbage for records, when the pod is gone")
	delSpoilt(ctx, e, podless, contents[podless])

	ginkgo.By("another container's CHECK and DEL")
	e.MustOK(e.Check(ctx, healthy))
	e.MustOK(e.Del(ctx, healthy))
	expect.Deleted(e, healthy)
	addAndDelete(ctx, e, spoilt[0])
}

// delWithSharedFile damages, in each way, the files that the target has for all
// containers.
func delWithSharedFile(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureRestart) {
		e.Skipf("the target has one file for all containers, which only a restart makes it read again")
	}
	for i, way := range expect.Damages("") {
		ginkgo.By("the file for all containers is " + way.What)
		kept := expect.WatchKept(e)
		s := e.Sandbox(node.Networks("blue"))
		kept.Add(ctx, s)
		d.Stop(ctx)
		contents := expect.Spoil(kept.Shared(), expect.Damages(s.ID)[i])
		d = e.Start(ctx)
		delSpoilt(ctx, e, s, contents)
		addAndDelete(ctx, e, e.Sandbox(node.Networks("blue")))
	}
}

// addAndDelete asserts that a container that came after the damage, or comes
// again, is attached, checked and deleted as ever.
func addAndDelete(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("ADD and DEL afterwards")
	e.ResetCalls()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Check(ctx, s))
	e.MustOK(e.Del(ctx, s))
	Expect(expect.PlacesOf(e.CallsFor("DEL", s))).To(Equal(expect.Reversed(expect.PlacesOf(e.CallsFor("ADD", s)))), "delegates that were called at DEL, in order")
}

// delSpoilt deletes a container whose records are damaged, trying again as a
// runtime does, and asserts that the default network was deleted by its
// configuration, and that the damage is kept.
func delSpoilt(ctx context.Context, e *thick.Env, s *node.Sandbox, contents []string) {
	ginkgo.GinkgoHelper()
	var last *thick.Answer
	for range 3 {
		if last = e.Del(ctx, s); last.OK() {
			break
		}
	}
	e.MustOK(last)
	deleted := e.CallsFor("DEL", s)
	Expect(attachmentsOf(deleted)).To(ContainElement("default eth0"), "the default network gets its DEL")
	var defaults []script.Call
	for _, c := range deleted {
		if c.Network == "default" {
			defaults = append(defaults, c)
		}
	}
	Expect(expect.PlacesOf(defaults)[:2]).To(Equal([]string{"default eth0 plugin 1", "default eth0 plugin 0"}), "all of its plugins, in reverse order")
	expect.ParametersOfAdd(e, s, defaults)
	if len(contents) > 0 {
		Expect(keptAside(e, contents)).NotTo(BeEmpty(), "a copy of the damaged record below the cache directory")
	}
	e.MustOK(e.Del(ctx, s))
}

// attachmentsOf are the attachments that calls were for, such as "blue net1".
func attachmentsOf(calls []script.Call) []string {
	var all []string
	for _, c := range calls {
		all = append(all, c.Network+" "+c.Interface)
	}
	return all
}

// keptAside lists the files below the cache directory that have one of the
// damaged contents, wherever the target has moved them.
func keptAside(e *thick.Env, contents []string) []string {
	ginkgo.GinkgoHelper()
	var kept []string
	Expect(node.Walk(e.CacheDir, func(path string, entry fs.DirEntry) error {
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil && slices.Contains(contents, string(content)) {
			kept = append(kept, path)
		}
		return err
	})).To(Succeed())
	return kept
}
