// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/pkg/api"
)

// hostLocal is the IPAM part of a network whose leases are below the case's
// directory.
func hostLocal(e *Env, subnet string) map[string]any {
	return map[string]any{
		"type": "host-local", "dataDir": filepath.Join(e.Dir, "ipam"),
		"ranges": []any{[]any{map[string]any{"subnet": subnet}}},
	}
}

// realList is a network of one real plugin with host-local.
func realList(e *Env, network, subnet string, plugin map[string]any) string {
	ginkgo.GinkgoHelper()
	plugin["ipam"] = hostLocal(e, subnet)
	return string(mustJSON(map[string]any{"cniVersion": "1.0.0", "name": network, "plugins": []any{plugin}}))
}

// realBridge is a network of the bridge plugin. The bridge belongs to the
// case's own network namespace.
func realBridge(e *Env, network, bridge, subnet string) string {
	ginkgo.GinkgoHelper()
	return realList(e, network, subnet, map[string]any{"type": "bridge", "bridge": bridge})
}

// leases are the addresses that host-local holds for a sandbox, as
// "network/address".
func leases(e *Env, s *Sandbox) []string {
	ginkgo.GinkgoHelper()
	held := []string{}
	for _, path := range e.FilesNaming(s.ID) {
		below, err := filepath.Rel(filepath.Join(e.Dir, "ipam"), path)
		Expect(err).NotTo(HaveOccurred())
		if !strings.HasPrefix(below, "..") && net.ParseIP(filepath.Base(path)) != nil {
			held = append(held, below)
		}
	}
	return held
}

// bridgePorts counts the interfaces on a bridge of the case's own namespace.
// It fails when interfaces come or go meanwhile.
func bridgePorts(bridge string) (int, error) {
	master, err := netlink.LinkByName(bridge)
	if err != nil {
		return 0, err
	}
	links, err := netlink.LinkList()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, l := range links {
		if l.Attrs().MasterIndex == master.Attrs().Index {
			n++
		}
	}
	return n, nil
}

// delWithoutNamespace is DEL-03: in each way of not having a namespace the
// addresses of both networks are released, and no other's.
func delWithoutNamespace(ctx context.Context, e *Env) {
	e.RealPlugins()
	e.DefaultNetwork(realBridge(e, "default", "cbr-first", "10.71.0.0/24"))
	e.Definition("blue", realBridge(e, "blue", "cbr-second", "10.72.0.0/24"))
	d := e.Start(ctx)
	empty := func(env map[string]string) { env["CNI_NETNS"] = "" }
	unset := func(env map[string]string) { delete(env, "CNI_NETNS") }
	same := func(map[string]string) {}
	keeper := e.Sandbox(Networks("blue"))
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
		s := e.Sandbox(Networks("blue"))
		e.MustOK(e.Add(ctx, s))
		Expect(leases(e, s)).To(ConsistOf(HavePrefix("default/"), HavePrefix("blue/")), "leases before DEL")
		Expect(s.InterfaceNames()).To(ConsistOf("eth0", "net1"))
		if way.gone {
			s.RemoveNetns()
		}
		if way.restart {
			restarted(ctx, e, d)
		}
		for range 2 { // the second finds nothing, and succeeds too
			r := e.Request("DEL", s)
			way.change(r.Env)
			e.MustOK(e.Post(ctx, api.MultusCNIAPIEndpoint, r))
		}
		expectReleased(ctx, e, s, way.gone)
	}
	Expect(leases(e, keeper)).To(ConsistOf(HavePrefix("default/"), HavePrefix("blue/")), "leases of another container")
	e.MustOK(e.Check(ctx, keeper))
	e.MustOK(e.Del(ctx, keeper))
	Expect(e.Leftovers(keeper)).To(BeEmpty())
}

// expectReleased asserts that nothing names a sandbox any more, and that the
// host's ends of its interfaces go with its namespace.
func expectReleased(ctx context.Context, e *Env, s *Sandbox, gone bool) {
	ginkgo.GinkgoHelper()
	Expect(leases(e, s)).To(BeEmpty(), "leases after DEL")
	Expect(e.FilesNaming(s.ID)).To(BeEmpty(), "files that name the container after DEL")
	if !gone {
		s.RemoveNetns()
	}
	for _, bridge := range []string{"cbr-first", "cbr-second"} {
		Eventually(func() (int, error) { return bridgePorts(bridge) }).WithContext(ctx).WithTimeout(10*time.Second).WithPolling(pollInterval).
			Should(Equal(1), "interfaces on %s: only the other container's", bridge)
	}
}
