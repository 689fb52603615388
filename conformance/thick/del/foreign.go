// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

var foreignCases = []thick.Case{
	{ID: "DEL-11", Level: spec.Must,
		Source: "cri-o/cri-o#2849, kubernetes/kubernetes#100648, containernetworking/plugins#714",
		Slow:   5 * time.Second, Body: delForeignNamespace,
		Title: "Where the namespace's path leads elsewhere than at ADD, DEL touches nothing there and releases what lives outside"},
}

// foreignSandbox is a sandbox whose namespace's path leads elsewhere.
type foreignSandbox struct {
	*node.Sandbox
	// netns is the path that the runtime has of it now.
	netns string
}

// delForeignNamespace is DEL-11. A path is a process id or a name, and both are
// used again: by a pod that runs, or by a process of the host.
func delForeignNamespace(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	e.DefaultNetwork(expect.RealBridge(e, "default", "fbr-def", "10.73.0.0/24"))
	e.Definition("blue", e.FakeList("blue"))
	e.Start(ctx)
	victim := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, victim))
	host := fmt.Sprintf("/proc/%d/ns/net", os.Getpid())
	reused := func() *foreignSandbox {
		ginkgo.GinkgoHelper()
		s := e.Sandbox(node.Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		moveNetns(victim, s)
		return &foreignSandbox{s, s.Netns}
	}

	for _, w := range expect.WaysOf(e) {
		ginkgo.By("its path leads to another pod's namespace; through " + w.Name)
		s := reused()
		expectForeignRefused(ctx, e, s)
		expect.Served(w.Ask(ctx, s.request(e, "DEL")), "DEL")
		expectReleasedOutside(e, s)

		ginkgo.By("its path leads to the host's own namespace; through " + w.Name)
		s = &foreignSandbox{e.Sandbox(node.Networks("blue")), host}
		e.MustOK(e.Add(ctx, s.Sandbox))
		expectForeignRefused(ctx, e, s)
		expect.Served(w.Ask(ctx, s.request(e, "DEL")), "DEL")
		expectReleasedOutside(e, s)
		s.RemoveNetns()
	}
	if e.Supports(thick.FeatureGC) {
		ginkgo.By("its path leads to another pod's namespace, and GC deletes it")
		s := reused()
		expect.Served(expect.WaysOf(e)[0].Ask(ctx, expect.GcRequest(e, victim)), "GC")
		expectReleasedOutside(e, s)
	}

	Expect(victim.InterfaceNames()).To(ConsistOf("eth0"), "the other pod's interfaces")
	Expect(e.Leases(victim)).To(ConsistOf(HavePrefix("default/")), "the other pod's address")
	// The host's ends go with the namespaces, in the kernel's own time.
	Eventually(expect.BridgePorts).WithArguments("fbr-def").WithContext(ctx).WithTimeout(20*time.Second).WithPolling(50*time.Millisecond).
		Should(Equal(1), "interfaces on the bridge: only the other pod's")
	e.MustOK(e.Del(ctx, victim))
	Expect(victim.InterfaceNames()).To(BeEmpty(), "interfaces in the sandbox")
	Expect(e.Leases(victim)).To(BeEmpty(), "leases of the sandbox")
}

// moveNetns has the path of a sandbox lead to the namespace of another one. Its
// own namespace is gone then.
func moveNetns(from, to *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(unix.Unmount(to.Netns, unix.MNT_DETACH)).To(Succeed())
	Expect(unix.Mount(from.Netns, to.Netns, "", unix.MS_BIND, "")).To(Succeed())
}

func (s *foreignSandbox) request(e *thick.Env, command string) *api.Request {
	ginkgo.GinkgoHelper()
	r := e.Request(command, s.Sandbox)
	r.Env["CNI_NETNS"] = s.netns
	return r
}

// expectForeignRefused asserts that CHECK and hot-plug fail with code 4 before a
// delegate runs.
func expectForeignRefused(ctx context.Context, e *thick.Env, s *foreignSandbox) {
	ginkgo.GinkgoHelper()
	before := len(expect.CallsOfSandbox(e, s.Sandbox))
	Expect(expect.Refused(e.Post(ctx, api.MultusCNIAPIEndpoint, s.request(e, "CHECK"))).Code).To(BeEquivalentTo(4), "the code of CHECK")
	if e.Supports(thick.FeatureHotplug) {
		plug := expect.HotplugRequest(e, s.Sandbox, "ADD", e.FakeList("hot"))
		plug.Env["CNI_NETNS"] = s.netns
		Expect(expect.Refused(e.Post(ctx, api.MultusDelegateAPIEndpoint, plug)).Code).To(BeEquivalentTo(4), "the code of a hot-plug")
	}
	Expect(expect.CallsOfSandbox(e, s.Sandbox)).To(HaveLen(before), "calls of delegates for what is refused")
}

// expectReleasedOutside asserts that the delegates deleted without a namespace,
// and that the address is free.
func expectReleasedOutside(e *thick.Env, s *foreignSandbox) {
	ginkgo.GinkgoHelper()
	deleted := e.CallsFor("DEL", s.Sandbox)
	Expect(expect.PlacesOf(deleted)).To(Equal([]string{"blue net1"}), "DELs of delegates")
	for _, c := range deleted {
		Expect(c.Netns).To(BeEmpty(), "the namespace of a DEL whose path leads elsewhere")
	}
	Expect(e.Leases(s.Sandbox)).To(BeEmpty(), "leases after DEL")
}
