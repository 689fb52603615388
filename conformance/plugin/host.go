// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"

	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/target"
)

// prepares reports whether the target file asks for something of the host.
func (e *Env) prepares(what string) bool { return slices.Contains(e.Target.file.Host.Prepare, what) }

// prepare makes what the target file asks of the host.
func (e *Env) prepare() {
	ginkgo.GinkgoHelper()
	if e.prepares(prepareMaster) {
		e.master = "m" + e.ID
		e.veth(e.master, "mp"+e.ID)
	}
	if e.prepares(prepareDHCP) {
		e.serveDHCP()
	}
	var err error
	e.shared, err = renderAll("shared", e.Target.file.Shared, e.values())
	Expect(err).NotTo(HaveOccurred())
	logs, err := renderAll("logs", e.Target.file.Logs, e.values())
	Expect(err).NotTo(HaveOccurred())
	e.logs = []string{everybodysLogs}
	for _, path := range logs {
		e.logs = append(e.logs, "file "+path)
	}
}

// veth makes a pair of interfaces that are up.
func (e *Env) veth(name, peer string) {
	ginkgo.GinkgoHelper()
	Expect(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: peer})).To(Succeed(), "an interface of the host")
	for _, n := range []string{name, peer} {
		l, err := netlink.LinkByName(n)
		Expect(err).NotTo(HaveOccurred())
		Expect(netlink.LinkSetUp(l)).To(Succeed())
	}
}

// device makes an interface that nobody uses.
func (e *Env) device() string {
	ginkgo.GinkgoHelper()
	name := "d" + node.RandomHex(4)
	e.veth(name, "p"+name)
	return name
}

// place writes the files that the plugin needs.
func (e *Env) place() {
	ginkgo.GinkgoHelper()
	Expect(target.Place(e.Target.file.Files, e.render)).To(Succeed())
}

func (e *Env) render(key, text string) (string, error) { return render(key, text, e.values()) }

// startDaemon starts the plugin's daemon, where it has one, and waits until it is
// ready.
func (e *Env) startDaemon() {
	ginkgo.GinkgoHelper()
	log := filepath.Join(e.Dir, "daemon.log")
	p, err := e.Target.file.Daemon.Start(e.render, log)
	if p == nil && err == nil {
		return
	}
	if p != nil {
		e.daemon = p
		e.Own = append(e.Own, log)
		e.AtEnd(func() { _ = p.Kill() })
	}
	Expect(err).NotTo(HaveOccurred())
	e.Ignore(e.Processes()...)
}

// base makes what a plugin before the target would have made, a veth with an
// address of the network, and returns that one's result.
func (e *Env) base(s *node.Sandbox, ifName string) map[string]any {
	ginkgo.GinkgoHelper()
	prefix := netip.MustParsePrefix(e.Subnets[0])
	gateway := prefix.Addr().Next()
	address := gateway
	e.mu.Lock()
	e.bases++
	for range e.bases {
		address = address.Next()
	}
	e.mu.Unlock()
	host := "v" + node.RandomHex(4)
	space, err := ns.GetNS(s.Netns)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = space.Close() }()
	Expect(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: host, MTU: 1500}, PeerName: ifName,
		PeerNamespace: netlink.NsFd(int(space.Fd()))})).To(Succeed(), "the base interface")
	l, err := netlink.LinkByName(host)
	Expect(err).NotTo(HaveOccurred())
	Expect(netlink.LinkSetUp(l)).To(Succeed())
	cidr := netip.PrefixFrom(address, prefix.Bits())
	var mac net.HardwareAddr
	s.Do(func() error {
		inner, err := netlink.LinkByName(ifName)
		if err != nil {
			return err
		}
		mac = inner.Attrs().HardwareAddr
		addr, err := netlink.ParseAddr(cidr.String())
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(inner, addr); err != nil {
			return err
		}
		return netlink.LinkSetUp(inner)
	})
	ip := map[string]any{"interface": 1, "address": cidr.String(), "gateway": gateway.String()}
	if !AtLeast(e.Version, "1.0.0") {
		ip["version"] = "4"
	}
	return map[string]any{
		"cniVersion": e.Version,
		"interfaces": []any{
			map[string]any{"name": host, "mac": l.Attrs().HardwareAddr.String()},
			map[string]any{"name": ifName, "mac": mac.String(), "sandbox": s.Netns},
		},
		"ips":    []any{ip},
		"routes": []any{map[string]any{"dst": "0.0.0.0/0", "gw": gateway.String()}},
		"dns":    map[string]any{"nameservers": []any{gateway.String()}, "search": []any{"example.test"}},
	}
}
