// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// families are the address families that have default routes of their own.
var families = []int{netlink.FAMILY_V4, netlink.FAMILY_V6}

// moveDefaultRoute sees to it, after the delegates of attachment n have run,
// that the default route is where the pod asked for it (default-route in a
// selection; NPWG standard, section 4.1.2.1.9; NET-03). It changes routes and
// the attachments' results alike: CHECK compares them, and the status shows them.
func moveDefaultRoute(rec *ledger.Record, n int) error {
	if !slices.ContainsFunc(rec.Attachments, func(a ledger.Attachment) bool { return a.DefaultRoute != nil }) {
		return nil
	}
	space, err := ns.GetNS(rec.Netns)
	if err != nil {
		return cniError(err, "default-route")
	}
	defer func() { _ = space.Close() }()
	handle, err := netlink.NewHandleAt(netns.NsHandle(space.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return cniError(err, "default-route")
	}
	defer handle.Close()
	m := &routeMove{rec: rec, handle: handle}
	for _, family := range families {
		if err := m.settle(n, family); err != nil {
			return types.NewError(types.ErrInternal, fmt.Sprintf("default-route of network %q: %v", rec.Attachments[n].Network, err), "")
		}
	}
	return nil
}

// routeMove is one sandbox's default routes being moved.
type routeMove struct {
	rec    *ledger.Record
	handle *netlink.Handle
}

// settle puts one family right after attachment n was added: those who shall
// not have the default route lose it, the one who shall gets it.
func (m *routeMove) settle(n, family int) error {
	owner, err := m.owner(n, family)
	if err != nil || owner < 0 {
		return err
	}
	for i := range n + 1 {
		gateway := gatewayOf(&m.rec.Attachments[i], family)
		switch {
		case i == owner && (gateway == nil || i < n):
			// It has the route by its own result, or since its own turn.
		case i == owner:
			err = m.replace(i, family, gateway)
		default:
			err = m.replace(i, family, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// owner is the attachment that shall have the default route of a family: the
// one that names a gateway, or, with an empty list, the one whose result has
// one; -1 when the pod does not ask, or nobody has it yet.
func (m *routeMove) owner(n, family int) (int, error) {
	for i := range m.rec.Attachments {
		a := &m.rec.Attachments[i]
		if gatewayOf(a, family) != nil {
			return i, nil
		}
		if i > n || a.DefaultRoute == nil || len(a.DefaultRoute) > 0 {
			continue
		}
		result, err := recordedResult(a.Result)
		if err != nil {
			return -1, err
		}
		if slices.ContainsFunc(result.Routes, func(r *types.Route) bool { return isDefault(&r.Dst, family) }) {
			return i, nil
		}
	}
	return -1, nil
}

func gatewayOf(a *ledger.Attachment, family int) net.IP {
	for _, gateway := range a.DefaultRoute {
		if (gateway.To4() != nil) == (family == netlink.FAMILY_V4) {
			return gateway
		}
	}
	return nil
}

// isDefault says whether a destination is a family's default route.
func isDefault(dst *net.IPNet, family int) bool {
	ones, bits := dst.Mask.Size()
	return ones == 0 && (bits == 8*net.IPv4len) == (family == netlink.FAMILY_V4) && dst.IP.IsUnspecified()
}

// replace takes an attachment's default routes of a family away, from each of its
// interfaces, and gives it another one by gateway unless that is nil.
func (m *routeMove) replace(i, family int, gateway net.IP) error {
	a := &m.rec.Attachments[i]
	result, err := recordedResult(a.Result)
	if err != nil {
		return err
	}
	for _, name := range linksOf(a, m.rec.Netns, result) {
		if err := m.removeDefault(name, family); err != nil {
			return err
		}
	}
	if gateway != nil {
		if err := m.addDefault(linkTo(a, m.rec.Netns, result, gateway), gateway); err != nil {
			return err
		}
	}
	return m.rewrite(a, family, gateway)
}

// removeDefault removes the default routes of one interface. A network without an
// interface has none.
func (m *routeMove) removeDefault(name string, family int) error {
	link, err := m.handle.LinkByName(name)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	routes, err := m.handle.RouteList(link, family)
	if err != nil {
		return fmt.Errorf("routes of %s: %w", name, err)
	}
	for _, route := range routes {
		if route.Dst == nil || isDefault(route.Dst, family) {
			if err := m.handle.RouteDel(&route); err != nil {
				return fmt.Errorf("remove the default route of %s: %w", name, err)
			}
		}
	}
	return nil
}

func (m *routeMove) addDefault(name string, gateway net.IP) error {
	link, err := m.handle.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := m.handle.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway}); err != nil {
		return fmt.Errorf("default route by %s on %s: %w; the gateway must be in one of the interface's subnets", gateway, name, err)
	}
	return nil
}

// linksOf returns the names of an attachment's interfaces in the sandbox: those
// of its result, which may be several and may have other names than the one that
// was asked for, else that one.
func linksOf(a *ledger.Attachment, netns string, result *types100.Result) []string {
	var names []string
	for _, index := range insideOf(result, netns) {
		names = append(names, result.Interfaces[index].Name)
	}
	if len(names) == 0 {
		names = []string{a.Interface}
	}
	return names
}

// linkTo returns the interface of an attachment that has a gateway in one of its
// subnets, the first one when the result does not tell.
func linkTo(a *ledger.Attachment, netns string, result *types100.Result, gateway net.IP) string {
	names := linksOf(a, netns, result)
	for n, index := range insideOf(result, netns) {
		for _, address := range addressesOf(result, index, false) {
			if address.Contains(gateway) {
				return names[n]
			}
		}
	}
	return names[0]
}

// rewrite changes the attachment's result as its routes were changed.
func (m *routeMove) rewrite(a *ledger.Attachment, family int, gateway net.IP) error {
	result, err := recordedResult(a.Result)
	if err != nil {
		return err
	}
	result.Routes = slices.DeleteFunc(result.Routes, func(r *types.Route) bool { return isDefault(&r.Dst, family) })
	if gateway != nil {
		bits := 8 * net.IPv6len
		if family == netlink.FAMILY_V4 {
			bits = 8 * net.IPv4len
		}
		anywhere := net.IPNet{IP: make(net.IP, bits/8), Mask: net.CIDRMask(0, bits)}
		result.Routes = append(result.Routes, &types.Route{Dst: anywhere, GW: gateway})
	}
	encoded, err := json.Marshal(Encodable(result))
	if err != nil {
		return err
	}
	a.Result, a.Parsed = encoded, result
	return nil
}
