// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var unseenCases = []thick.Case{
	{ID: "RES-09", Level: spec.Must,
		Source: "openshift/cluster-network-operator#573, #579, #1077, containernetworking/plugins#69",
		Needs:  []spec.Feature{thick.FeatureRestart}, Slow: 15 * time.Second, Timeout: 120 * time.Second, Body: namespacesUnseen,
		Title: "A daemon that cannot see the namespaces of recorded sandboxes deletes nothing and is not ready"},
}

// unseenFor is how long a daemon that does not see the namespaces is watched. A
// daemon that takes them for gone deletes within its first moments.
const unseenFor = 1500 * time.Millisecond

// namespacesUnseen is RES-09: in each way of not seeing the namespaces of
// sandboxes that run, a fresh daemon deletes none of them.
func namespacesUnseen(ctx context.Context, e *thick.Env) {
	if !suite.Isolated() {
		e.Skipf("the namespaces are hidden by mounts, and this process has no mount namespace of its own")
	}
	e.DefaultNetwork(e.FakeList("default", expect.RealInterface()))
	e.Definition("blue", e.FakeList("blue", expect.RealInterface()))
	d := e.Start(ctx)
	running := []*node.Sandbox{e.Sandbox(node.Networks("blue")), e.Sandbox()}
	for _, s := range running {
		e.MustOK(e.Add(ctx, s))
	}
	for _, way := range waysToHide() {
		ginkgo.By(way.what)
		d.Stop(ctx)
		show := way.hide(e, running)
		d = e.Start(ctx, thick.WithoutWaiting())
		expectNothingDeleted(ctx, e, d)
		show()
		expectSeenAgain(ctx, e)
		for _, s := range running {
			e.MustOK(e.Check(ctx, s))
		}
		Expect(expect.PlacesOf(e.CallsOf("DEL"))).To(BeEmpty(), "DELs of sandboxes that run, after their namespaces came into view")
	}
	for _, s := range running {
		e.MustOK(e.Del(ctx, s))
		expect.Deleted(e, s)
	}
	if e.Supports(thick.FeatureTakeover) {
		d.Stop(ctx)
		unseenOfMultus(ctx, e)
	}
}

// unseenOfMultus starts the daemon for the first time on the node of a Multus
// whose sandboxes run, and hides their namespaces.
func unseenOfMultus(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	ginkgo.By("the first start on the node of a Multus")
	e.ResetCalls()
	s := e.Sandbox()
	expect.PutMultusCache(e, s)
	show := hideByTmpfs(e, []*node.Sandbox{s}, true)
	d := e.Start(ctx, thick.WithoutWaiting())
	expectNothingDeleted(ctx, e, d)
	show()
	expectSeenAgain(ctx, e)
	e.MustOK(e.Check(ctx, s))
	Expect(expect.PlacesOf(e.CallsOf("DEL"))).To(BeEmpty(), "DELs of a sandbox of Multus that runs")
	e.MustOK(e.Del(ctx, s))
	expectMultusDeleted(e, s)
}

// wayToHide hides the namespaces of sandboxes from every process that starts
// afterwards. The function that hide returns shows them again.
type wayToHide struct {
	what string
	hide func(e *thick.Env, all []*node.Sandbox) (show func())
}

func waysToHide() []wayToHide {
	return []wayToHide{
		{"their directory is not mounted, and another one without files is there",
			func(e *thick.Env, all []*node.Sandbox) func() { return hideByTmpfs(e, all, false) }},
		{"their directory is not mounted, and another one with plain files of the same names is there",
			func(e *thick.Env, all []*node.Sandbox) func() { return hideByTmpfs(e, all, true) }},
		{"their directory is missing", hideByName},
		{"their directory is there, and the mounts in it were not propagated", hideByUnmount},
	}
}

// netnsDir is where the suite keeps the sandboxes' namespaces.
func netnsDir(e *thick.Env) string { return filepath.Join(e.Dir, "netns") }

// hideByTmpfs mounts another file system over the namespaces' directory.
func hideByTmpfs(e *thick.Env, all []*node.Sandbox, files bool) (show func()) {
	ginkgo.GinkgoHelper()
	Expect(unix.Mount("tmpfs", netnsDir(e), "tmpfs", 0, "mode=0700")).To(Succeed())
	for _, s := range all {
		if files {
			Expect(os.WriteFile(s.Netns, nil, 0o600)).To(Succeed())
		}
	}
	return func() {
		ginkgo.GinkgoHelper()
		Expect(unix.Unmount(netnsDir(e), unix.MNT_DETACH)).To(Succeed())
	}
}

// hideByName renames the namespaces' directory.
func hideByName(e *thick.Env, _ []*node.Sandbox) (show func()) {
	ginkgo.GinkgoHelper()
	elsewhere := netnsDir(e) + "-elsewhere"
	Expect(os.Rename(netnsDir(e), elsewhere)).To(Succeed())
	return func() {
		ginkgo.GinkgoHelper()
		Expect(os.Rename(elsewhere, netnsDir(e))).To(Succeed())
	}
}

// hideByUnmount takes the mounts away and keeps the namespaces open.
func hideByUnmount(_ *thick.Env, all []*node.Sandbox) (show func()) {
	ginkgo.GinkgoHelper()
	open := map[*node.Sandbox]*os.File{}
	for _, s := range all {
		f, err := os.Open(s.Netns)
		Expect(err).NotTo(HaveOccurred())
		Expect(unix.Unmount(s.Netns, unix.MNT_DETACH)).To(Succeed())
		open[s] = f
	}
	return func() {
		ginkgo.GinkgoHelper()
		for s, f := range open {
			Expect(unix.Mount(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), s.Netns, "", unix.MS_BIND, "")).To(Succeed())
			Expect(f.Close()).To(Succeed())
		}
	}
}

// expectNothingDeleted watches a daemon that does not see the namespaces: no
// delegate is told to delete, the daemon is not ready, and says why.
func expectNothingDeleted(ctx context.Context, e *thick.Env, d *thick.Daemon) {
	ginkgo.GinkgoHelper()
	Eventually(func() error { return e.Probe(ctx, e.RunDir, api.MultusHealthAPIEndpoint) }).WithContext(ctx).
		WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed(),
		func() string { return "the daemon must run; its log:\n" + spec.LastLines(d.Log(), 40) })
	Consistently(func() []string { return expect.PlacesOf(e.CallsOf("DEL")) }).WithContext(ctx).WithTimeout(unseenFor).WithPolling(5*node.PollInterval).
		Should(BeEmpty(), "DELs of sandboxes whose namespaces the daemon does not see")
	if e.Supports(thick.FeatureReadyz) {
		a, err := thick.Do(ctx, e.Socket(), http.MethodGet, api.MultusReadyAPIEndpoint, nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(a.Status).To(Equal(http.StatusServiceUnavailable), "readiness of a daemon that does not see the namespaces")
	}
	Expect(d.Log()).To(ContainSubstring(netnsDir(e)), "the daemon must say which directory it does not see")
}

// expectSeenAgain waits until the daemon is ready.
func expectSeenAgain(ctx context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	if !e.Supports(thick.FeatureReadyz) {
		return
	}
	Eventually(func() error { return e.Probe(ctx, e.RunDir, api.MultusReadyAPIEndpoint) }).WithContext(ctx).
		WithTimeout(thick.StartTimeout).WithPolling(node.PollInterval).Should(Succeed(), "readiness once the namespaces are in view")
}
