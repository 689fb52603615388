// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// damages are ways in which a record can be spoilt: by a crash in the middle
// of writing, by a disk, or by another program.
func damages(id string) []struct {
	what  string
	spoil func(content []byte) []byte
} {
	always := func(content string) func([]byte) []byte {
		return func([]byte) []byte { return []byte(content) }
	}
	return []struct {
		what  string
		spoil func(content []byte) []byte
	}{
		{"garbage", always("\x00\x01 not a record of " + id + " {[")},
		{"cut off in the middle", func(content []byte) []byte { return content[:len(content)/2] }},
		{"empty", always("")},
		{"an empty object", always("{}")},
		{"another kind of JSON", always(`["` + id + `"]`)},
		{"of the wrong types", always(`{"containerID": 7, "containerId": 7, "attachments": "none", "kind": []}`)},
	}
}

// delDamagedRecord is DEL-07. Everything that the target keeps of some
// containers is damaged, whatever it is and wherever it lies in the cache
// directory; another container must not notice.
func delDamagedRecord(ctx context.Context, e *thick.Env) {
	e.AllowLeftovers("damaged records are kept aside where the target likes")
	e.DefaultNetwork(e.FakeList("default", expect.Numbered(script.Fake{}, script.Fake{})...))
	e.Definition("blue", e.FakeList("blue"))
	d := e.Start(ctx)
	healthy := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, healthy))
	table := damages(node.RandomHex(32))
	var spoilt []*node.Sandbox
	for range table {
		s := e.Sandbox(node.Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		spoilt = append(spoilt, s)
	}
	podless := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, podless))

	if e.Supports(thick.FeatureRestart) {
		d.Stop(ctx)
	}
	contents := map[*node.Sandbox][]string{}
	for i, s := range spoilt {
		contents[s] = expect.SpoilRecords(e, s, damages(s.ID)[i].spoil)
	}
	contents[podless] = expect.SpoilRecords(e, podless, damages(podless.ID)[0].spoil)
	e.DeletePod(podless)
	if e.Supports(thick.FeatureRestart) {
		d = e.Start(ctx)
	}

	ginkgo.By("another container's CHECK")
	e.MustOK(e.Check(ctx, healthy))
	for i, s := range spoilt {
		ginkgo.By("DEL with records that are " + table[i].what)
		delSpoilt(ctx, e, d, s, contents[s])
		Expect(attachmentsOf(e.CallsFor("DEL", s))).To(ContainElement("blue net1"), "the pod's further network gets its DEL too")
	}
	ginkgo.By("DEL with garbage for records, when the pod is gone")
	delSpoilt(ctx, e, d, podless, contents[podless])

	ginkgo.By("another container's CHECK and DEL")
	e.MustOK(e.Check(ctx, healthy))
	e.MustOK(e.Del(ctx, healthy))
	expect.Deleted(e, healthy)

	ginkgo.By("a container whose record was damaged can be added and deleted again")
	e.ResetCalls()
	e.MustOK(e.Add(ctx, spoilt[0]))
	e.MustOK(e.Check(ctx, spoilt[0]))
	e.MustOK(e.Del(ctx, spoilt[0]))
	Expect(expect.PlacesOf(e.CallsFor("DEL", spoilt[0]))).To(Equal(expect.Reversed(expect.PlacesOf(e.CallsFor("ADD", spoilt[0])))))
}

// delSpoilt deletes a container whose records are damaged, trying again as a
// runtime does, and asserts that the default network was deleted by its
// configuration, that the damage was reported, and that it is kept.
func delSpoilt(ctx context.Context, e *thick.Env, d *thick.Daemon, s *node.Sandbox, contents []string) {
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
	expectReported(d, s)
	Expect(keptAside(e, s, contents)).NotTo(BeEmpty(), "a copy of the damaged record below the cache directory")
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

var damageWords = regexp.MustCompile(`(?i)damag|corrupt|unusable|malformed|invalid|unmarshal|unreadable|broken`)

// expectReported asserts that a line of the daemon's log says of the container
// that something is wrong.
func expectReported(d *thick.Daemon, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	reported := slices.ContainsFunc(strings.Split(d.Log(), "\n"), func(line string) bool {
		return strings.Contains(line, s.ID) && damageWords.MatchString(line)
	})
	Expect(reported).To(BeTrue(), "the daemon's log reports the damaged record of container %s; the log:\n%s", s.ID, spec.LastLines(d.Log(), 40))
}

// keptAside lists the files below the cache directory that have one of the
// damaged contents and, by name or content, are of the sandbox.
func keptAside(e *thick.Env, s *node.Sandbox, contents []string) []string {
	ginkgo.GinkgoHelper()
	var kept []string
	Expect(filepath.WalkDir(e.CacheDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && slices.Contains(contents, string(content)) && strings.Contains(entry.Name()+string(content), s.ID) {
			kept = append(kept, path)
		}
		return err
	})).To(Succeed())
	return kept
}
