// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// vethCheck compares what the result says of this plugin's interfaces with what
// the kernel has. What later plugins added does not count as a difference (CNI §2).
func (c *call) vethCheck() error {
	switch c.fault {
	case checksUnnamed:
		if c.env.container == "" {
			return nil
		}
	case checkUnimplemented:
		return fail(codeFailed, "CHECK is not implemented")
	case checkAlways0:
		return nil
	}
	prev, err := readResult(c.conf.PrevResult)
	if err != nil {
		return err
	}
	ns, err := c.openNamespace()
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	mine, err := c.checkLinks(ns, prev)
	if err != nil {
		return err
	}
	if err := c.checkAddresses(ns, prev, mine); err != nil {
		return err
	}
	if c.conf.IPMasq {
		if err := c.checkRules(); err != nil {
			return err
		}
	}
	_, err = c.delegate("CHECK")
	return err
}

// checkLinks looks at both ends and returns the index of the container's among
// the result's interfaces.
func (c *call) checkLinks(ns *namespace, prev *result) (int, error) {
	mine := -1
	for i, f := range prev.Interfaces {
		at := &namespace{Handle: &netlink.Handle{}}
		switch {
		case f.Name == c.env.ifname && f.Sandbox == c.env.netns:
			at, mine = ns, i
		case f.Name == c.key().hostEnd() && f.Sandbox == "" && !c.has(checkSkipsHostEnd):
		default:
			continue
		}
		link, err := at.LinkByName(f.Name)
		if err != nil {
			return 0, fail(codeFailed, "%s is gone: %v", f.Name, err)
		}
		a := link.Attrs()
		switch {
		case a.Flags&net.FlagUp == 0 && !c.has(checkSkipsDown):
			return 0, fail(codeFailed, "%s is down", f.Name)
		case f.MAC != "" && a.HardwareAddr.String() != f.MAC:
			return 0, fail(codeFailed, "%s has address %s, not %s", f.Name, a.HardwareAddr, f.MAC)
		}
	}
	if mine < 0 {
		return 0, fail(codeConfig, "the result does not have %s", c.env.ifname)
	}
	return mine, nil
}

// checkAddresses looks for the addresses and routes of the result that are the
// interface's.
func (c *call) checkAddresses(ns *namespace, prev *result, mine int) error {
	link, err := ns.LinkByName(c.env.ifname)
	if err != nil {
		return fail(codeFailed, "%s is gone: %v", c.env.ifname, err)
	}
	has, err := ns.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", c.env.ifname, err)
	}
	there := map[string]bool{}
	global := 0
	for _, a := range has {
		there[a.IPNet.String()] = true
		if a.IP.IsGlobalUnicast() {
			global++
		}
	}
	if c.has(checkStrict) && global > len(prev.IPs) {
		return fail(codeFailed, "%s has an address more than the result", c.env.ifname)
	}
	for _, ip := range prev.IPs {
		if (ip.Interface == nil || *ip.Interface == mine) && !there[ip.Address] {
			return fail(codeFailed, "%s does not have %s", c.env.ifname, ip.Address)
		}
	}
	if c.has(checkSkipsRoutes) {
		return nil
	}
	return checkRoutes(ns, prev)
}

func checkRoutes(ns *namespace, prev *result) error {
	for _, to := range prev.Routes {
		_, dst, err := net.ParseCIDR(to.Dst)
		if err != nil {
			return err
		}
		family := netlink.FAMILY_V6
		if dst.IP.To4() != nil {
			family = netlink.FAMILY_V4
		}
		found, err := ns.RouteListFiltered(family, &netlink.Route{Dst: dst}, netlink.RT_FILTER_DST)
		if err != nil {
			return fmt.Errorf("routes of the container: %w", err)
		}
		if len(found) == 0 {
			return fail(codeFailed, "the route to %s is gone", to.Dst)
		}
	}
	return nil
}
