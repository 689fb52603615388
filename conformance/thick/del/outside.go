// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/pkg/api"
)

// delWithoutNamespace is DEL-03: in each way of not having a namespace the
// addresses of both networks are released, and no other's.
func delWithoutNamespace(ctx context.Context, e *thick.Env) {
	e.RealPlugins()
	e.DefaultNetwork(expect.RealBridge(e, "default", "cbr-first", "10.71.0.0/24"))
	e.Definition("blue", expect.RealBridge(e, "blue", "cbr-second", "10.72.0.0/24"))
	d := e.Start(ctx)
	empty := func(env map[string]string) { env["CNI_NETNS"] = "" }
	unset := func(env map[string]string) { delete(env, "CNI_NETNS") }
	same := func(map[string]string) {}
	keeper := e.Sandbox(node.Networks("blue"))
	e.MustOK(e.Add(ctx, keeper))
	for _, change := range []func(map[string]string){empty, unset} {
		r := e.Request("DEL", e.Sandbox()) // never seen
		change(r.Env)
		e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
	}
	for _, way := range []struct {
		what    string
		gone    bool
		restart bool
		change  func(env map[string]string)
	}{
		{"CNI_NETNS is empty", false, false, empty},
		{"CNI_NETNS is not set", false, false, unset},
		{"the namespace is gone and CNI_NETNS names it", true, false, same},
		{"the namespace is gone and CNI_NETNS is empty", true, false, empty},
		{"the namespace was gone before the daemon started", true, true, same},
	} {
		ginkgo.By(way.what)
		s := e.Sandbox(node.Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		Expect(e.Leases(s)).To(ConsistOf(HavePrefix("default/"), HavePrefix("blue/")), "leases before DEL")
		Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1"), "interfaces in the sandbox")
		if way.gone {
			s.RemoveNetns()
		}
		if way.restart {
			expect.Restarted(ctx, e, d)
		}
		for range 2 { // the second finds nothing, and succeeds too
			r := e.Request("DEL", s)
			way.change(r.Env)
			e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
		}
		expectReleased(ctx, e, s, way.gone)
	}
	Expect(e.Leases(keeper)).To(ConsistOf(HavePrefix("default/"), HavePrefix("blue/")), "leases of another container")
	e.MustOK(e.Check(ctx, keeper))
	e.MustOK(e.Del(ctx, keeper))
	Expect(e.Leftovers(keeper)).To(BeEmpty(), "what is left of the sandbox")
}

// expectReleased asserts that nothing names a sandbox any more, and that the
// host's ends of its interfaces go with its namespace.
func expectReleased(ctx context.Context, e *thick.Env, s *node.Sandbox, gone bool) {
	ginkgo.GinkgoHelper()
	Expect(e.Leases(s)).To(BeEmpty(), "leases after DEL")
	Expect(e.RecordsOf(s)).To(BeEmpty(), "records after DEL")
	expect.Forgotten(ctx, e, s)
	if !gone {
		s.RemoveNetns()
	}
	for _, bridge := range []string{"cbr-first", "cbr-second"} {
		Eventually(func() (int, error) { return expect.BridgePorts(bridge) }).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(node.PollInterval).
			Should(Equal(1), "interfaces on %s: only the other container's", bridge)
	}
}
