// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// names are the interfaces of the calling thread's namespace by their indices.
func names() (map[int]string, []netlink.Link, error) {
	all, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, nil, err
	}
	byIndex := map[int]string{0: "-"}
	for _, l := range all {
		byIndex[l.Attrs().Index] = l.Attrs().Name
	}
	return byIndex, all, nil
}

// links describes interfaces: what somebody configured, without indices,
// counters and states that the kernel finds out.
func links() ([]string, error) {
	byIndex, all, err := names()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, l := range all {
		a := l.Attrs()
		up := "down"
		if a.Flags&net.FlagUp != 0 {
			up = "up"
		}
		line := fmt.Sprintf("link %s %s %s mtu %d mac %s", a.Name, l.Type(), up, a.MTU, a.HardwareAddr)
		if a.MasterIndex != 0 {
			line += " master " + byIndex[a.MasterIndex]
		}
		if a.Promisc != 0 {
			line += " promiscuous"
		}
		if a.Alias != "" {
			line += fmt.Sprintf(" alias %q", a.Alias)
		}
		lines = append(lines, line+detail(l, byIndex)+protinfo(a))
	}
	return lines, nil
}

// detail is what a kind of interface has beside others.
func detail(l netlink.Link, byIndex map[int]string) string {
	switch l := l.(type) {
	case *netlink.Bridge:
		if l.VlanFiltering != nil && *l.VlanFiltering {
			return " vlan filtering"
		}
	case *netlink.Macvlan:
		return fmt.Sprintf(" mode %d%s", l.Mode, over(l.Attrs(), byIndex))
	case *netlink.Vlan:
		return fmt.Sprintf(" vlan %d%s", l.VlanId, over(l.Attrs(), byIndex))
	case *netlink.Vrf:
		return fmt.Sprintf(" table %d", l.Table)
	}
	return ""
}

// over names the interface that another is made over, when it is in the same
// namespace.
func over(a *netlink.LinkAttrs, byIndex map[int]string) string {
	if a.NetNsID >= 0 {
		return " over another namespace's interface"
	}
	return " over " + byIndex[a.ParentIndex]
}

func protinfo(a *netlink.LinkAttrs) string {
	if a.Protinfo == nil {
		return ""
	}
	if text := a.Protinfo.String(); text != "" {
		return " bridge port " + text
	}
	return ""
}

// addresses leaves link-local IPv6 ones out: the kernel makes them.
func addresses() ([]string, error) {
	byIndex, _, err := names()
	if err != nil {
		return nil, err
	}
	all, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, err
	}
	var lines []string
	for _, a := range all {
		if a.IP.IsLinkLocalUnicast() && a.IP.To4() == nil {
			continue
		}
		line := fmt.Sprintf("address %s on %s", a.IPNet, byIndex[a.LinkIndex])
		if a.Peer != nil && a.Peer.String() != a.IPNet.String() {
			line += " peer " + a.Peer.String()
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// routes of all tables, but for those that the kernel makes by itself for its own
// addresses and interfaces.
func routes() ([]string, error) {
	byIndex, _, err := names()
	if err != nil {
		return nil, err
	}
	all, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, err
	}
	var lines []string
	for _, r := range all {
		linkLocal := r.Dst != nil && r.Dst.IP.To4() == nil && (r.Dst.IP.IsLinkLocalUnicast() || r.Dst.IP.IsMulticast())
		if r.Protocol == unix.RTPROT_KERNEL && (r.Table == unix.RT_TABLE_LOCAL || linkLocal) || r.Table == unix.RT_TABLE_LOCAL && linkLocal {
			continue
		}
		lines = append(lines, describeRoute(&r, byIndex))
	}
	return lines, nil
}

func describeRoute(r *netlink.Route, byIndex map[int]string) string {
	dst := "default"
	if r.Dst != nil {
		dst = r.Dst.String()
	}
	line := "route " + dst
	if r.Gw != nil {
		line += " via " + r.Gw.String()
	}
	for _, hop := range r.MultiPath {
		line += fmt.Sprintf(" nexthop %s dev %s", hop.Gw, byIndex[hop.LinkIndex])
	}
	if r.LinkIndex != 0 {
		line += " dev " + byIndex[r.LinkIndex]
	}
	line += fmt.Sprintf(" table %d", r.Table)
	if r.Src != nil {
		line += " src " + r.Src.String()
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"metric", r.Priority}, {"mtu", r.MTU}, {"advmss", r.AdvMSS}, {"type", r.Type - unix.RTN_UNICAST}} {
		if n.value != 0 {
			line += fmt.Sprintf(" %s %d", n.name, n.value)
		}
	}
	return line
}

func rules() ([]string, error) {
	var lines []string
	for name, family := range map[string]int{"ipv4": netlink.FAMILY_V4, "ipv6": netlink.FAMILY_V6} {
		all, err := netlink.RuleList(family)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
				continue
			}
			return nil, err
		}
		for _, r := range all {
			lines = append(lines, fmt.Sprintf("rule %s %s", name, strings.TrimPrefix(r.String(), "ip rule ")))
		}
	}
	return lines, nil
}

// neighbours are those that somebody configured, and forwarding entries of
// bridges and tunnels. The kernel makes entries for interfaces' own addresses and
// for multicast, and what it learned goes by itself.
func neighbours() ([]string, error) {
	byIndex, all, err := names()
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, l := range all {
		own[l.Attrs().HardwareAddr.String()] = true
	}
	var lines []string
	for _, family := range []int{unix.AF_INET, unix.AF_INET6, unix.AF_BRIDGE} {
		all, err := netlink.NeighList(0, family)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, err
		}
		for _, n := range all {
			byKernel := family == unix.AF_BRIDGE && (own[n.HardwareAddr.String()] || isMulticast(n.HardwareAddr))
			if n.State&netlink.NUD_PERMANENT == 0 || byKernel {
				continue
			}
			lines = append(lines, fmt.Sprintf("neighbour %s at %s on %s", n.IP, n.HardwareAddr, byIndex[n.LinkIndex]))
		}
	}
	return lines, nil
}

func isMulticast(mac net.HardwareAddr) bool { return len(mac) > 0 && mac[0]&1 == 1 }
