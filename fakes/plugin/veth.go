// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
)

// hostEnd is the name of the host's end of the attachment's veth pair. It
// follows from the attachment alone, so DEL needs no record to find it.
func (k key) hostEnd() string { return "thin" + digest(string(k), 11) }

// vethAdd makes the pair, puts IPAM's addresses on it, and answers both ends.
func (c *call) vethAdd() error {
	if c.has(idAsPath) {
		if err := c.noteByID(); err != nil {
			return err
		}
	}
	if c.has(allocatesFirst) {
		if _, err := c.addresses(); err != nil {
			return err
		}
	}
	if c.has(attachesOnce) {
		if err := c.onlyOnce(); err != nil {
			return err
		}
	}
	if _, err := c.mac(); err != nil {
		return err
	}
	ns, err := c.openNamespace()
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	there, err := ns.LinkByName(c.env.ifname)
	switch {
	case err == nil && c.has(deletesExisting):
		_ = ns.LinkDel(there)
		fallthrough
	case err == nil && !c.has(reusesInterface):
		return fail(codeFailed, "%s exists in the container already", c.env.ifname)
	}
	given := &result{}
	if !c.has(allocatesFirst) {
		if given, err = c.addresses(); err != nil {
			return err
		}
	}
	made, err := c.connect(ns, given)
	if err == nil && c.has(resultThenError) {
		_ = c.printResult(made)
	}
	if err == nil {
		err = c.finish(made)
	}
	if err != nil {
		return errors.Join(err, c.disconnect(), c.undo())
	}
	return nil
}

// finish is what comes between a connected container and the answer.
func (c *call) finish(made *result) error {
	if c.has(resultThenError) {
		return fail(codeFailed, "it went wrong at the end")
	}
	if c.has(recordLast) {
		time.Sleep(20 * time.Millisecond)
		if err := os.MkdirAll(c.conf.StateDir, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.conf.StateDir, string(c.key())), nil, 0o600); err != nil {
			return err
		}
	}
	if c.has(recordAmongLogs) {
		if err := c.noteAmongLogs(); err != nil {
			return err
		}
	}
	if c.has(logsOnStdout) {
		fmt.Fprintf(c.stdout, "attached %s to %s\n", c.env.ifname, c.conf.Name)
	}
	if c.has(hostEndUnlisted) {
		zero := 0
		made.Interfaces = made.Interfaces[1:]
		for i := range made.IPs {
			made.IPs[i].Interface = &zero
		}
	}
	if c.has(wrongMAC) {
		made.Interfaces[1].MAC = made.Interfaces[0].MAC
	}
	return c.printResult(made)
}

// connect makes and configures the pair, and returns the result.
func (c *call) connect(ns *namespace, given *result) (*result, error) {
	host, inside, err := c.pair(ns)
	if err != nil {
		return nil, err
	}
	if err := c.configure(ns, inside, given); err != nil {
		return nil, err
	}
	if err := c.reach(host, given); err != nil {
		return nil, err
	}
	if c.conf.IPMasq {
		if err := c.masquerade(given.IPs); err != nil {
			return nil, err
		}
	}
	r := &result{
		Interfaces: []iface{
			{Name: host.Attrs().Name, MAC: host.Attrs().HardwareAddr.String(), MTU: host.Attrs().MTU},
			{Name: c.env.ifname, MAC: inside.Attrs().HardwareAddr.String(), MTU: inside.Attrs().MTU, Sandbox: c.env.netns},
		},
		IPs: given.IPs, Routes: given.Routes, DNS: given.DNS,
	}
	if c.conf.DNS != nil {
		r.DNS = c.conf.DNS
	}
	one := 1
	for i := range r.IPs {
		r.IPs[i].Interface = &one
	}
	return r, nil
}

// pair makes the veth pair, its one end in the namespace from the beginning, and
// returns both ends as the kernel has them.
func (c *call) pair(ns *namespace) (host, inside netlink.Link, err error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = c.hostEnd(), c.conf.MTU
	pair := netlink.NewVeth(attrs)
	pair.PeerName, pair.PeerNamespace, pair.PeerMTU = c.env.ifname, netlink.NsFd(int(ns.fd)), uint32(c.conf.MTU)
	if pair.PeerHardwareAddr, err = c.mac(); err != nil {
		return nil, nil, err
	}
	if c.has(reusesInterface) {
		if inside, err = ns.LinkByName(c.env.ifname); err == nil {
			return &netlink.Dummy{}, inside, nil
		}
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, nil, fmt.Errorf("make the veth pair %s and %s: %w", attrs.Name, c.env.ifname, err)
	}
	if host, err = netlink.LinkByName(attrs.Name); err != nil {
		return nil, nil, fmt.Errorf("the host end %s: %w", attrs.Name, err)
	}
	// The alias is what GC and a person know the link by.
	if err := netlink.LinkSetAlias(host, string(c.key())); err != nil {
		return nil, nil, fmt.Errorf("name the attachment at %s: %w", attrs.Name, err)
	}
	if inside, err = ns.LinkByName(c.env.ifname); err != nil {
		return nil, nil, fmt.Errorf("the container's end %s: %w", c.env.ifname, err)
	}
	return host, inside, nil
}

// hostEnd is the host end's name.
func (c *call) hostEnd() string {
	if !c.has(countsHostEnds) {
		return c.key().hostEnd()
	}
	links, _ := netlink.LinkList()
	n := 0
	for _, l := range links {
		if l.Type() == "veth" {
			n++
		}
	}
	time.Sleep(10 * time.Millisecond)
	return fmt.Sprintf("thin%d", n)
}

// mac is the address that the runtime asks for, nil when it does not.
func (c *call) mac() (net.HardwareAddr, error) {
	text := c.conf.RuntimeConfig.MAC
	if text == "" || c.has(ignoresMAC) {
		return nil, nil
	}
	mac, err := net.ParseMAC(text)
	switch {
	case err != nil:
		return nil, fail(codeConfig, "runtimeConfig.mac %q: %v", text, err)
	case len(mac) != 6 || mac[0]&1 != 0:
		return nil, fail(codeConfig, "runtimeConfig.mac %q: an interface cannot have it", text)
	}
	return mac, nil
}

// configure puts addresses and routes on the container's end.
func (c *call) configure(ns *namespace, link netlink.Link, given *result) error {
	for _, ip := range given.IPs {
		a, err := netlink.ParseAddr(ip.Address)
		if err != nil {
			return err
		}
		// Nobody else can have it: there is nothing to detect.
		a.Flags = noDAD(a.IP)
		if err := ns.AddrAdd(link, a); err != nil {
			return fmt.Errorf("address %s on %s: %w", ip.Address, c.env.ifname, err)
		}
	}
	if err := ns.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", c.env.ifname, err)
	}
	for _, to := range given.Routes {
		r, err := to.via(link, given.IPs)
		if err != nil {
			return err
		}
		if err := ns.RouteAdd(r); err != nil {
			return fmt.Errorf("route to %s: %w", to.Dst, err)
		}
	}
	return nil
}

// reach sets the host's end up, gives it the gateways' addresses, and routes the
// container's to it.
func (c *call) reach(host netlink.Link, given *result) error {
	if c.has(reusesInterface) && host.Type() == "dummy" {
		return nil
	}
	if err := netlink.LinkSetUp(host); err != nil {
		return fmt.Errorf("set %s up: %w", host.Attrs().Name, err)
	}
	for _, ip := range given.IPs {
		p, err := ip.prefix()
		if err != nil {
			return err
		}
		if gw := net.ParseIP(ip.Gateway); gw != nil {
			a := &netlink.Addr{IPNet: whole(gw), Flags: noDAD(gw)}
			if err := netlink.AddrAdd(host, a); err != nil {
				return fmt.Errorf("gateway %s on %s: %w", gw, host.Attrs().Name, err)
			}
		}
		r := &netlink.Route{LinkIndex: host.Attrs().Index, Dst: whole(p.Addr().AsSlice())}
		if err := netlink.RouteAdd(r); err != nil {
			return fmt.Errorf("route to %s at %s: %w", p.Addr(), host.Attrs().Name, err)
		}
	}
	return nil
}

// via is the route through the link; without a gateway of its own it goes
// through the one of its family's address, when that has one.
func (to *route) via(link netlink.Link, ips []ipConf) (*netlink.Route, error) {
	_, dst, err := net.ParseCIDR(to.Dst)
	if err != nil {
		return nil, err
	}
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Gw: net.ParseIP(to.GW)}
	for _, ip := range ips {
		gw := net.ParseIP(ip.Gateway)
		if r.Gw == nil && gw != nil && (gw.To4() != nil) == (dst.IP.To4() != nil) {
			r.Gw = gw
		}
	}
	if r.Gw == nil {
		r.Scope = netlink.SCOPE_LINK
	}
	return r, nil
}

// whole is the network of one address.
func whole(ip net.IP) *net.IPNet {
	if v4 := ip.To4(); v4 != nil {
		return &net.IPNet{IP: v4, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}
