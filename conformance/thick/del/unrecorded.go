// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
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

var unrecordedCases = []thick.Case{
	{ID: "DEL-10", Level: spec.Must, Source: "#669, #677, #891, #1446",
		Needs: []spec.Feature{thick.FeatureRestart}, Slow: 6 * time.Second, Body: delUnrecorded,
		Title: "A sandbox that is not recorded is deleted by the default network's configuration and its pod's annotations"},
}

// delUnrecorded is DEL-10. What the daemon keeps is lost between ADD and DEL,
// which leaves a sandbox as one that was attached before the daemon was
// installed: the runtime and the network know of it, and the daemon does not.
func delUnrecorded(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	e.DefaultNetwork(expect.RealBridge(e, "default", "ubr-def", "10.74.0.0/24"))
	e.Definition("blue", expect.RealBridge(e, "blue", "ubr-blue", "10.75.0.0/24"))
	d := e.Start(ctx)
	known, podGone, noNetns := e.Sandbox(node.Networks("blue,blue@data0")), e.Sandbox(), e.Sandbox()
	for _, s := range []*node.Sandbox{known, podGone, noNetns} {
		e.MustOK(e.Add(ctx, s))
		Expect(e.Leases(s)).NotTo(BeEmpty(), "leases of the sandbox")
	}
	d.Stop(ctx)
	loseRecords(e)
	e.Start(ctx)
	recorded := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, recorded))

	ginkgo.By("the pod is known, and so are its networks")
	expectUnrecordedDeleted(ctx, e, known)
	ginkgo.By("the pod is gone: the default network")
	e.DeletePod(podGone)
	expectUnrecordedDeleted(ctx, e, podGone)
	ginkgo.By("the network namespace is gone")
	noNetns.RemoveNetns()
	expectUnrecordedDeleted(ctx, e, noNetns)

	ginkgo.By("again, and a container never seen (DEL-02)")
	for _, s := range []*node.Sandbox{known, podGone, noNetns, e.Sandbox(node.Networks("blue")), e.Sandbox(node.WithoutPod(), node.WithoutNetns())} {
		e.MustOK(e.Del(ctx, s))
		Expect(e.Leftovers(s)).To(BeEmpty(), "what is left of the sandbox")
		expect.Forgotten(ctx, e, s)
	}
	Expect(recorded.InterfaceNames()).To(ConsistOf("eth0", "net1"), "interfaces of a sandbox that is recorded")
	Expect(e.Leases(recorded)).To(HaveLen(2), "addresses of a sandbox that is recorded")
	e.MustOK(e.Del(ctx, recorded))
}

// loseRecords empties the daemon's directory.
func loseRecords(e *thick.Env) {
	ginkgo.GinkgoHelper()
	entries, err := os.ReadDir(e.CacheDir)
	Expect(err).NotTo(HaveOccurred())
	for _, entry := range entries {
		Expect(os.RemoveAll(filepath.Join(e.CacheDir, entry.Name()))).To(Succeed())
	}
}

// expectUnrecordedDeleted deletes a sandbox, and asserts that its addresses are
// free and that nothing of it is left.
func expectUnrecordedDeleted(ctx context.Context, e *thick.Env, s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	e.MustOK(e.Del(ctx, s))
	Expect(e.Leases(s)).To(BeEmpty(), "leases after DEL")
	Expect(e.Leftovers(s)).To(BeEmpty(), "what DEL left")
}
