// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"net/netip"
	"os"
	"path/filepath"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/target"
)

// serveDHCP makes a bridge with the network's first address, and has dnsmasq
// give away addresses of the network there.
func (e *Env) serveDHCP() {
	ginkgo.GinkgoHelper()
	e.master = "s" + e.ID
	Expect(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: e.master}})).To(Succeed(), "a bridge of the host")
	bridge, err := netlink.LinkByName(e.master)
	Expect(err).NotTo(HaveOccurred())
	p := netip.MustParsePrefix(e.Subnets[0])
	address, err := netlink.ParseAddr(netip.PrefixFrom(p.Addr().Next(), p.Bits()).String())
	Expect(err).NotTo(HaveOccurred())
	Expect(netlink.AddrAdd(bridge, address)).To(Succeed())
	Expect(netlink.LinkSetUp(bridge)).To(Succeed())

	log, leases := filepath.Join(e.Dir, "dnsmasq.log"), filepath.Join(e.Dir, "dnsmasq.leases")
	first, last := p.Addr().Next(), p.Addr().Next()
	for i := range 200 {
		if last = last.Next(); i == 8 {
			first = last
		}
	}
	server, err := target.StartProcess([]string{
		"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--port=0", "--no-ping",
		"--interface=" + e.master, "--bind-interfaces", "--dhcp-authoritative", "--log-dhcp", "--log-facility=-",
		"--dhcp-range=" + first.String() + "," + last.String() + ",2m", "--dhcp-leasefile=" + leases,
	}, []string{"PATH=" + os.Getenv("PATH")}, log)
	Expect(err).NotTo(HaveOccurred(), "the DHCP server")
	e.AtEnd(func() { _ = server.Kill() })
	e.Own = append(e.Own, log, leases)
	Expect(server.Await(leases)).To(Succeed(), "the DHCP server")
	e.Ignore(e.Processes()...)
}

// plugIn gives a container an interface that is up and has no address, at the
// bridge of the DHCP server: what an interface plugin makes before it asks its
// IPAM plugin.
func (e *Env) plugIn(s *node.Sandbox, ifName string) {
	ginkgo.GinkgoHelper()
	space, err := ns.GetNS(s.Netns)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = space.Close() }()
	bridge, err := netlink.LinkByName(e.master)
	Expect(err).NotTo(HaveOccurred())
	attrs := netlink.LinkAttrs{Name: "v" + node.RandomHex(4), MasterIndex: bridge.Attrs().Index}
	Expect(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: ifName, PeerNamespace: netlink.NsFd(int(space.Fd()))})).To(Succeed(), "the container's interface")
	host, err := netlink.LinkByName(attrs.Name)
	Expect(err).NotTo(HaveOccurred())
	Expect(netlink.LinkSetUp(host)).To(Succeed())
	s.Do(func() error {
		inner, err := netlink.LinkByName(ifName)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(inner)
	})
}
