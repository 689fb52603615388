// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

var diskCases = []thick.Case{
	{
		ID: "RES-03", Level: spec.Must, Source: "OPS", Body: resilienceFullDisk,
		Title: "A full disk: ADD fails cleanly before any delegate runs; DEL still works",
	},
}

// diskPage is the unit in which a tmpfs gives its space away.
const diskPage = 4096

// disk is a small file system at the cache directory.
type disk struct{ filler string }

// smallDisk mounts it. The daemon must not have started.
func smallDisk(e *thick.Env) *disk {
	ginkgo.GinkgoHelper()
	Expect(unix.Mount("tmpfs", e.CacheDir, "tmpfs", 0, "size=512k,mode=0700")).To(Succeed())
	e.AtEnd(func() { _ = unix.Unmount(e.CacheDir, unix.MNT_DETACH) })
	// No container id begins with a dot: the file is nobody's record.
	return &disk{filler: filepath.Join(e.CacheDir, ".filler")}
}

// fill takes all of the space but some pages.
func (d *disk) fill(free int) {
	ginkgo.GinkgoHelper()
	f, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	Expect(err).NotTo(HaveOccurred())
	for err == nil {
		_, err = f.Write(make([]byte, diskPage))
	}
	Expect(errors.Is(err, unix.ENOSPC)).To(BeTrue(), "the disk is full: %v", err)
	info, err := f.Stat()
	Expect(err).NotTo(HaveOccurred())
	Expect(f.Truncate(info.Size() - int64(free)*diskPage)).To(Succeed())
	Expect(f.Close()).To(Succeed())
}

// free gives the space back.
func (d *disk) free() {
	ginkgo.GinkgoHelper()
	Expect(os.Remove(d.filler)).To(Succeed())
}

// resilienceFullDisk is RES-03.
func resilienceFullDisk(ctx context.Context, e *thick.Env) {
	small := smallDisk(e)
	e.DefaultNetwork(e.FakeList("default", expect.VethFake()))
	e.Definition("second", e.FakeList("second", expect.VethFake()))
	e.Definition("failing", e.FakeList("failing", script.Fake{Del: script.FakeStep{Error: types.NewError(117, "not yet", ""), Times: 1}}))
	d := e.Start(ctx)
	old, stubborn, later := e.Sandbox(node.Networks("second")), e.Sandbox(node.Networks("second,failing")), e.Sandbox(node.Networks("second"))
	for _, s := range []*node.Sandbox{old, stubborn, later} {
		e.MustOK(e.Add(ctx, s))
	}
	small.fill(0)
	fresh := e.Sandbox(node.Networks("second"))
	expectAddNotBegun(ctx, e, fresh)

	ginkgo.By("DEL on a full disk")
	e.MustOK(e.Del(ctx, old))
	expectReleasedOnFullDisk(e, old, "second", "default")
	small.fill(0)
	_ = expect.Refused(e.Del(ctx, stubborn))
	small.fill(0)
	e.MustOK(e.Del(ctx, stubborn))
	Expect(e.Leftovers(stubborn)).To(BeEmpty(), "after the DEL of a delegate that failed at first")
	small.fill(0)
	if e.Supports(thick.FeatureRestart) {
		d = fullDiskRestart(ctx, e, d, later)
	} else {
		e.MustOK(e.Del(ctx, later))
	}
	Expect(later.InterfaceNames()).To(ConsistOf([]string{}), "interfaces in the sandbox")

	ginkgo.By("when there is space again")
	small.free()
	e.MustOK(e.Add(ctx, fresh))
	e.MustOK(e.Check(ctx, fresh))
	e.MustOK(e.Del(ctx, fresh))
	Expect(e.Leftovers(fresh)).To(BeEmpty(), "what is left of the sandbox")
	fullDiskByPages(ctx, e, small)
	d.Stop(ctx)
}

// expectAddNotBegun asserts that an ADD fails before any delegate ran, over
// the socket and of the shim.
func expectAddNotBegun(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	ginkgo.By("ADD on a full disk")
	_ = expect.Refused(e.Add(ctx, s))
	Expect(expect.Trace(expect.CallsOfSandbox(e, s))).To(BeEmpty(), "delegates that ran although the disk is full")
	expect.NothingLeft(e, s)
	run := e.Shim(ctx, "ADD", s)
	Expect(run.ExitCode).NotTo(BeZero(), "ADD of the shim on a full disk")
	expect.OnlyDocument(run)
	Expect(run.Error()).NotTo(BeNil(), "no CNI error on stdout: %q", run.Stdout)
	Expect(expect.Trace(expect.CallsOfSandbox(e, s))).To(BeEmpty(), "delegates that ran although the disk is full")
	expect.NothingLeft(e, s)
	e.MustOK(e.Del(ctx, s))
}

// expectReleasedOnFullDisk asserts that each network of a sandbox got its DEL,
// the last one first, and that nothing of it is left.
func expectReleasedOnFullDisk(e *thick.Env, s *node.Sandbox, networks ...string) {
	ginkgo.GinkgoHelper()
	Expect(node.NetworksOf(e.CallsFor("DEL", s))).To(Equal(networks), "DELs on a full disk")
	Expect(e.Leftovers(s)).To(BeEmpty(), "after a DEL on a full disk")
}

// fullDiskRestart starts the next daemon on the full disk and deletes a
// sandbox with it. In between there is none, and a DEL that the shim cannot
// record must not be taken for done.
func fullDiskRestart(ctx context.Context, e *thick.Env, d *thick.Daemon, s *node.Sandbox) *thick.Daemon {
	ginkgo.GinkgoHelper()
	ginkgo.By("DEL on a full disk without a daemon")
	d.Stop(ctx)
	e.ResetCalls()
	run := e.Shim(ctx, "DEL", s)
	Expect(run.ExitCode).NotTo(BeZero(), "DEL succeeded although there is no space to record it")
	expect.OnlyDocument(run)
	Expect(run.Error()).NotTo(BeNil(), "no CNI error on stdout: %q", run.Stdout)
	Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1"), "the runtime has to try again")
	ginkgo.By("a daemon that starts on a full disk")
	d = e.Start(ctx)
	expect.Succeeded(e.Shim(ctx, "DEL", s))
	expectReleasedOnFullDisk(e, s, "second", "default")
	return d
}

// fullDiskByPages leaves ever more space, so that it ends at each of the files
// that an ADD writes: it succeeds, or has been rolled back when it fails, and
// DEL works after either.
func fullDiskByPages(ctx context.Context, e *thick.Env, small *disk) {
	ginkgo.GinkgoHelper()
	ginkgo.By("a disk that becomes full on the way")
	e.Definition("large", e.FakeList("large", script.Fake{
		Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}, Extra: map[string]any{"comment": strings.Repeat("c", 3*diskPage)},
	}))
	outcomes := map[bool]int{}
	for free := range 24 {
		s := e.Sandbox(node.Networks("large"))
		small.fill(free)
		a := e.Add(ctx, s)
		outcomes[a.OK()]++
		if !a.OK() {
			_ = expect.Refused(a)
			Expect(e.Leftovers(s)).To(BeEmpty(), "with %d pages free, after ADD was answered with %s", free, a)
		}
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "with %d pages free, after DEL", free)
		small.free()
	}
	e.Notef("a disk with 0 to 23 pages free: %d ADDs succeeded, %d failed", outcomes[true], outcomes[false])
	Expect(outcomes).To(HaveLen(2), "ADDs with ever more space that succeeded (true) and failed (false)")
}
