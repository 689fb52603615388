// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// securityRecords is SEC-03, under a umask that makes nothing private by luck.
func securityRecords(ctx context.Context, e *thick.Env) {
	expect.UnderUmask(0, func() {
		e.Definition("second", e.FakeList("second"))
		Expect(os.Remove(e.CacheDir)).To(Succeed()) // so that the target makes it, as on a new node
		d := e.Start(ctx)
		s := e.Sandbox(node.Networks("second"))
		e.MustOK(e.Add(ctx, s))
		expectPrivateRecords(e, "ADD")
		if e.Supports(thick.FeatureHotplug) {
			e.MustOK(e.Post(ctx, api.MultusDelegateAPIEndpoint, expect.HotplugRequest(e, s, "ADD", e.FakeList("hot"))))
			expectPrivateRecords(e, "a hot-plug")
		}
		recorded := recordDirs(ctx, e)
		names := writtenNames(ctx, e)
		securityLinkedFiles(ctx, e, names)
		if e.Supports(thick.FeatureRestart) {
			d.Stop(ctx)
			expect.Succeeded(e.Shim(ctx, "DEL", s))
			expectPrivateRecords(e, "a DEL without a daemon")
			securityLinkedPending(ctx, e)
			securityLinkedDirs(ctx, e, recorded)
		}
	})
}

// recordDirs lists the directories below the cache directory in which an ADD
// changes something.
func recordDirs(ctx context.Context, e *thick.Env) []string {
	ginkgo.GinkgoHelper()
	kept := expect.WatchKept(e)
	s := e.Sandbox(node.Networks("second"))
	kept.Add(ctx, s)
	Expect(kept.Left()).NotTo(BeEmpty(), "files below the cache directory that an ADD changes")
	e.MustOK(e.Del(ctx, s))
	var dirs []string
	for _, path := range kept.All() {
		dir, err := filepath.Rel(e.CacheDir, filepath.Dir(path))
		Expect(err).NotTo(HaveOccurred())
		if dir != "." && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// expectPrivateRecords asserts on the cache directory, and on everything that
// lies below it.
func expectPrivateRecords(e *thick.Env, after string) {
	ginkgo.GinkgoHelper()
	Expect(node.Walk(e.CacheDir, func(path string, entry fs.DirEntry) error {
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		Expect(entry.IsDir() || entry.Type().IsRegular()).To(BeTrue(), "%s is a %s after %s", path, entry.Type(), after)
		Expect(st.Uid).To(BeZero(), "the owner of %s after %s", path, after)
		Expect(st.Mode&0o077).To(BeZero(), "after %s %s can be used by others than its owner: %s", after, path, expect.Owned(path))
		return nil
	})).To(Succeed())
}

// securityLinkedDirs replaces each directory of records by a symlink to where
// it was moved, between two daemons: the second one refuses to start, or does
// not use what the link points to.
func securityLinkedDirs(ctx context.Context, e *thick.Env, dirs []string) {
	ginkgo.GinkgoHelper()
	for _, dir := range dirs {
		ginkgo.By("a symlink in the place of the directory " + dir)
		path, away := filepath.Join(e.CacheDir, dir), filepath.Join(e.Dir, "away-"+node.RandomHex(3))
		Expect(os.Rename(path, away)).To(Succeed())
		Expect(os.Symlink(away, path)).To(Succeed())
		s := e.Sandbox(node.Networks("second"))
		before := expect.Stamps(away)
		d := e.Start(ctx, thick.WithoutWaiting())
		if servesOrEnds(ctx, e, d) {
			a := e.Add(ctx, s)
			Expect(expect.Stamps(away)).To(Equal(before), "ADD, answered with %s, wrote through the symlink %s", a, path)
		} else {
			Expect(d.ExitCode()).NotTo(BeZero(), "a daemon that refuses to start must end with failure")
			Expect(d.Log()).To(ContainSubstring(path), "the refusal names the path")
		}
		d.Stop(ctx)
		Expect(os.RemoveAll(path)).To(Succeed())
		Expect(os.Rename(away, path)).To(Succeed())
		d = e.Start(ctx)
		e.MustOK(e.Del(ctx, s))
		d.Stop(ctx)
	}
}

// servesOrEnds waits until a daemon serves, or has ended instead.
func servesOrEnds(ctx context.Context, e *thick.Env, d *thick.Daemon) bool {
	ginkgo.GinkgoHelper()
	probe := "/healthz"
	if e.Supports(thick.FeatureReadyz) {
		probe = "/readyz"
	}
	serves := func() bool { return e.Probe(ctx, e.RunDir, probe) == nil }
	Eventually(func() bool { return d.Ended() || serves() }).WithContext(ctx).WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).
		Should(BeTrue(), func() string { return "the daemon neither serves nor ends; its log:\n" + spec.LastLines(d.Log(), 40) })
	if d.Ended() {
		d.Await(ctx) // which says that the case expects its end
		return false
	}
	return true
}
