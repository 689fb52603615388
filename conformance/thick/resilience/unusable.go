// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

var unusableCases = []thick.Case{
	{
		ID: "RES-16", Level: spec.Must, Source: "seen; DEL-07 for every kind of damage", Needs: []spec.Feature{thick.FeatureRestart}, Body: unusableFiles,
		Slow: 15 * time.Second, Timeout: 120 * time.Second,
		Title: "One unusable file harms no other sandbox's ADD, DEL, CHECK and GC, and what was set aside does not grow for ever",
	},
}

// unusableFiles is RES-16: the files come while the daemon runs, and lie there
// when it starts.
func unusableFiles(ctx context.Context, e *thick.Env) {
	e.AllowLeftovers("unusable files are kept aside where the target likes")
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("blue", e.FakeList("blue", expect.VethFake()))
	d := e.Start(ctx)
	collects := collectsGarbage(ctx, e)
	ginkgo.By("unusable files that come while the daemon runs")
	plantUnusable(ctx, e, nil)
	othersAreServed(ctx, e, collects)
	ginkgo.By("unusable files that are there when the daemon starts")
	plantUnusable(ctx, e, func() { d.Stop(ctx) })
	d = e.Start(ctx)
	othersAreServed(ctx, e, collects)
	if e.Supports(thick.FeatureTakeover) {
		keptAsideIsBounded(ctx, e, d)
	}
}

// plantUnusable makes links of the files that are a sandbox's own, and damages
// others, and puts foreign files beside them. Files that all sandboxes have in
// common are spoilt only where the daemon is stopped first: what is in use, and
// what was attached before, no target with one file for all can be held to.
func plantUnusable(ctx context.Context, e *thick.Env, stop func()) {
	ginkgo.GinkgoHelper()
	kept := expect.WatchKept(e)
	links, ways := []string{"/etc/hostname", "nowhere", ".", "/dev/null"}, expect.Damages(node.RandomHex(8))
	var sandboxes []*node.Sandbox
	for range len(links) + len(ways) {
		s := e.Sandbox(node.Networks("blue"))
		kept.Add(ctx, s)
		sandboxes = append(sandboxes, s)
	}
	if stop != nil {
		stop()
	}
	for i, s := range sandboxes {
		own := kept.Of(s)
		if i >= len(links) {
			expect.Spoil(own, ways[i-len(links)])
			continue
		}
		for _, path := range own {
			Expect(os.Remove(path)).To(Succeed())
			Expect(os.Symlink(links[i], path)).To(Succeed())
		}
	}
	if stop != nil {
		expect.Spoil(kept.Shared(), ways[0])
	}
	if !e.Supports(thick.FeatureTakeover) {
		return
	}
	encoded := func(config string) string { return base64.StdEncoding.EncodeToString([]byte(config)) }
	for _, content := range []string{
		"this is not JSON", "", "[", `{"a":1}`, "[null]", `[{"Name":"x"}]`,
		`[{"Name":"x","Bytes":"` + encoded("no network") + `"}]`, `[{"Name":"x","Bytes":"` + encoded(`{"name":"n"}`) + `"}]`,
		`[{"Name":"x","ifnameRequest":"../x","Bytes":"` + encoded(`{"name":"n","type":"fake"}`) + `"}]`,
	} {
		Expect(os.WriteFile(filepath.Join(e.CacheDir, node.RandomHex(32)), []byte(content), 0o600)).To(Succeed())
	}
}

// collectsGarbage reports whether the target's GC deletes a sandbox that is not
// valid while all files are usable. Whether it has to is GC-01's.
func collectsGarbage(ctx context.Context, e *thick.Env) bool {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureGC) {
		return false
	}
	s := e.Sandbox()
	e.MustOK(e.Add(ctx, s))
	e.MustOK(e.Post(ctx, "/cni", expect.GcRequest(e)))
	deleted := len(s.InterfaceNames()) == 0
	e.MustOK(e.Del(ctx, s))
	return deleted
}

// othersAreServed asks everything of sandboxes whose records are good.
func othersAreServed(ctx context.Context, e *thick.Env, collects bool) {
	ginkgo.GinkgoHelper()
	healthy, gone := e.Sandbox(node.Networks("blue")), e.Sandbox(node.Networks("blue"))
	for _, s := range []*node.Sandbox{healthy, gone} {
		e.MustOK(e.Add(ctx, s))
	}
	e.MustOK(e.Check(ctx, healthy))
	if e.Supports(thick.FeatureGC) {
		for range 2 {
			e.MustOK(e.Post(ctx, "/cni", expect.GcRequest(e, healthy)))
		}
		if collects {
			Expect(gone.InterfaceNames()).To(BeEmpty(), "of a sandbox that GC has to delete")
		}
		Expect(healthy.InterfaceNames()).To(ConsistOf("eth0", "net1"), "interfaces in the sandbox")
		e.MustOK(e.Check(ctx, healthy))
	}
	for _, s := range []*node.Sandbox{healthy, gone} {
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
	}
}

// keptAsideIsBounded leaves ever more unusable files for the daemon to find.
func keptAsideIsBounded(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	const rounds, files, size, most = 3, 100, 512 << 10, 64 << 20
	for round := range rounds {
		d.Stop(ctx)
		for range files {
			Expect(os.WriteFile(filepath.Join(e.CacheDir, node.RandomHex(32)), make([]byte, size), 0o600)).To(Succeed())
		}
		d = e.Start(ctx)
		Eventually(func() int64 { return bytesBelow(e.CacheDir) }).WithContext(ctx).WithTimeout(20*time.Second).WithPolling(100*time.Millisecond).
			Should(BeNumerically("<", most), func() string {
				return fmt.Sprintf("bytes below the cache directory after %d files of %d bytes", (round+1)*files, size)
			})
	}
}

func bytesBelow(dir string) int64 {
	var total int64
	_ = node.Walk(dir, func(_ string, entry fs.DirEntry) error {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}
