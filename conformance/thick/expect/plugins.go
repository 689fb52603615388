// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"github.com/onsi/ginkgo/v2"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// hostLocal is the IPAM part of a network whose leases are below the case's
// directory.
func hostLocal(e *thick.Env, subnet string) map[string]any {
	return map[string]any{
		"type": "host-local", "dataDir": e.LeaseDir(),
		"ranges": []any{[]any{map[string]any{"subnet": subnet}}},
	}
}

// RealList is a network of one real plugin with host-local.
func RealList(e *thick.Env, network, subnet string, plugin map[string]any) string {
	ginkgo.GinkgoHelper()
	plugin["ipam"] = hostLocal(e, subnet)
	return string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "name": network, "plugins": []any{plugin}}))
}

// RealBridge is a network of the bridge plugin. The bridge belongs to the
// case's own network namespace.
func RealBridge(e *thick.Env, network, bridge, subnet string) string {
	ginkgo.GinkgoHelper()
	return RealList(e, network, subnet, map[string]any{"type": "bridge", "bridge": bridge})
}

// BridgePorts counts the interfaces on a bridge of the case's own namespace.
// It fails when interfaces come or go meanwhile.
func BridgePorts(bridge string) (int, error) {
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
