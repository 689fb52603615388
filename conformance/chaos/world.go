// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/fakes/script"
)

// network is one that a pod may select.
type network struct {
	name string
	// looks means that its CHECK looks for the interface.
	looks bool
	// fails means that its delegate fails at first, at ADD and at DEL.
	fails bool
	list  func(e *thick.Env) string
}

// scriptedFailure is what a delegate says that was told to fail.
const scriptedFailure = "a failure that was scripted"

// networks are those that a pod may select beside the default one, which is a
// bridge.
var networks = []network{
	{name: "bridge", looks: true, list: func(e *thick.Env) string {
		return expect.Versioned(expect.RealBridge(e, "bridge", "br-chaos1", "10.65.0.0/16"), "1.1.0")
	}},
	{name: "scripted", list: scripted("scripted", script.Fake{Add: script.FakeStep{Veth: true}, Del: script.FakeStep{Veth: true}})},
	{name: "slow", list: scripted("slow", script.Fake{
		Add: script.FakeStep{Veth: true, Delay: "300ms"}, Del: script.FakeStep{Veth: true, Delay: "200ms"}, Check: script.FakeStep{Delay: "100ms"}})},
	{name: "failing", fails: true, list: scripted("failing", script.Fake{
		Add: script.FakeStep{Veth: true, Error: types.NewError(117, scriptedFailure, "at ADD"), Times: 1},
		Del: script.FakeStep{Veth: true, Error: types.NewError(118, scriptedFailure, "at DEL"), Times: 1}})},
}

// hotNetworks are those that are hot-plugged.
var hotNetworks = []network{
	{name: "hot-bridge", looks: true, list: func(e *thick.Env) string {
		return expect.RealBridge(e, "hot-bridge", "br-chaos2", "10.66.0.0/16")
	}},
	{name: "hot-scripted", list: scripted("hot-scripted", script.Fake{Add: script.FakeStep{Veth: true, Delay: "50ms"}, Del: script.FakeStep{Veth: true, Delay: "50ms"}})},
}

func scripted(name string, f script.Fake) func(e *thick.Env) string {
	return func(e *thick.Env) string { return e.FakeList(name, f) }
}

// furnish makes the networks, and a disk for the cache directory that can be
// made read-only.
func (c *chaos) furnish() {
	Expect(unix.Mount("tmpfs", c.e.CacheDir, "tmpfs", 0, "size=256m,mode=0700")).To(Succeed())
	c.e.AtEnd(func() { _ = unix.Unmount(c.e.CacheDir, unix.MNT_DETACH) })
	c.e.RealPlugins()
	for i := range 3 {
		// A bridge without an address of its own takes its ports', and its CHECK
		// fails as they come and go.
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("br-chaos%d", i), HardwareAddr: net.HardwareAddr{0x02, 0, 0, 0, 0, byte(i)}}}
		Expect(netlink.LinkAdd(bridge)).To(Succeed())
	}
	c.e.DefaultNetwork(expect.Versioned(expect.RealBridge(c.e, "default", "br-chaos0", "10.64.0.0/16"), "1.1.0"))
	for _, n := range networks {
		c.e.Definition(n.name, n.list(c.e))
	}
	config, err := c.e.Target.ShimConfig(c.e.Paths())
	Expect(err).NotTo(HaveOccurred())
	c.shimConfig = config
}

// ipam is where host-local keeps its leases.
func (c *chaos) ipam() string { return filepath.Join(c.e.Dir, "ipam") }

// leases lists what host-local holds, as "network/address of container", for one
// container or, with "", for all.
func (c *chaos) leases(id string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(c.ipam(), "*", "*.*.*.*"))
	if err != nil {
		return nil, err
	}
	held := []string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // released meanwhile
		}
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(content), id) {
			owner, _, _ := strings.Cut(string(content), "\r\n")
			held = append(held, fmt.Sprintf("%s/%s of %.12s", filepath.Base(filepath.Dir(file)), filepath.Base(file), owner))
		}
	}
	return held, nil
}

// remains lists the leases of a sandbox, and the interfaces in its namespace.
func (c *chaos) remains(box *node.Sandbox) []string {
	left, err := c.leases(box.ID)
	Expect(err).NotTo(HaveOccurred())
	for i := range left {
		left[i] = "the lease " + left[i]
	}
	for _, name := range box.InterfaceNames() {
		left = append(left, "the interface "+name)
	}
	return left
}
