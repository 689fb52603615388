// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"encoding/json"
	"net"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// elementsOf returns what the network status says of an attachment. It is made
// of the result alone: one element for each interface that the delegates have
// put into the sandbox, in their order, with what is that interface's (NPWG
// standard, sections 5.1.1 and 5.3.2 to 5.3.5; NET-20, NET-21). Without such an
// interface it is one element that names none (NET-22).
func elementsOf(a *ledger.Attachment, netns string, result *types100.Result) []cluster.NetworkStatus {
	inside := insideOf(result, netns)
	if len(inside) == 0 {
		return []cluster.NetworkStatus{bareElement(a, result)}
	}
	var all []cluster.NetworkStatus
	for _, index := range inside {
		s := commonElement(a, result)
		i := result.Interfaces[index]
		s.Interface, s.Mac, s.MTU = i.Name, i.Mac, i.Mtu
		s.IPs = ipsOf(result, index, index == inside[len(inside)-1])
		all = append(all, s)
	}
	if a.Default {
		all[max(slices.Index(inside, gatewayIndex(result, inside)), 0)].Default = true
	}
	return all
}

// insideOf returns the indexes of the interfaces that are in the sandbox: those
// whose sandbox is the one that the delegate was told, or, where a delegate
// calls it by another name, all that have one at all. Interfaces of the host
// have none (CNI spec, section 5).
func insideOf(result *types100.Result, netns string) []int {
	var exact, inside []int
	for index, i := range result.Interfaces {
		if i == nil || i.Sandbox == "" {
			continue
		}
		inside = append(inside, index)
		if i.Sandbox == netns {
			exact = append(exact, index)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return inside
}

// prefixesOf returns the addresses of one interface with their prefix lengths.
// Those that do not say whose they are count as the last interface's, as clients
// of the standard are used to (CreateNetworkStatuses of the network attachment
// definition client).
func prefixesOf(result *types100.Result, index int, last bool) []string {
	all := []string{}
	for _, ip := range addressesOf(result, index, last) {
		all = append(all, ip.String())
	}
	return all
}

// ipsOf is prefixesOf without the prefix lengths.
func ipsOf(result *types100.Result, index int, last bool) []string {
	var all []string
	for _, ip := range addressesOf(result, index, last) {
		all = append(all, ip.IP.String())
	}
	return all
}

func addressesOf(result *types100.Result, index int, last bool) []net.IPNet {
	var all []net.IPNet
	for _, ip := range result.IPs {
		if ip != nil && (ip.Interface == nil && last || ip.Interface != nil && *ip.Interface == index) {
			all = append(all, ip.Address)
		}
	}
	return all
}

// gatewayIndex is the first interface in the sandbox that an address with a
// gateway belongs to, -1 when there is none.
func gatewayIndex(result *types100.Result, inside []int) int {
	for _, ip := range result.IPs {
		if ip != nil && ip.Gateway != nil && ip.Interface != nil && slices.Contains(inside, *ip.Interface) {
			return *ip.Interface
		}
	}
	return -1
}

// bareElement is the element of an attachment whose result has no interface in
// the sandbox. Results before CNI 0.3.0 cannot name one: theirs is the one that
// was asked for.
func bareElement(a *ledger.Attachment, result *types100.Result) cluster.NetworkStatus {
	s := commonElement(a, result)
	s.Default = a.Default
	s.IPs = ipsOf(result, -1, true)
	if len(s.IPs) > 0 && len(result.Interfaces) == 0 && !namesInterfaces(a) {
		s.Interface = a.Interface
	}
	return s
}

// namesInterfaces reports whether the delegates of an attachment speak a
// version of CNI whose results name interfaces.
func namesInterfaces(a *ledger.Attachment) bool {
	var list struct {
		CNIVersion string `json:"cniVersion"`
	}
	if json.Unmarshal([]byte(a.Config), &list) != nil || list.CNIVersion == "" {
		return false
	}
	named, err := version.GreaterThanOrEqualTo(list.CNIVersion, "0.3.0")
	return err != nil || named
}

// commonElement is what the elements of one attachment have in common.
func commonElement(a *ledger.Attachment, result *types100.Result) cluster.NetworkStatus {
	s := cluster.NetworkStatus{
		Name: a.Definition,
		DNS: cluster.DNS{
			Nameservers: result.DNS.Nameservers,
			Domain:      result.DNS.Domain,
			Search:      result.DNS.Search,
			Options:     result.DNS.Options,
		},
		DeviceInfo: a.DeviceInfo,
	}
	for _, route := range result.Routes {
		if route == nil || route.GW == nil {
			continue
		}
		if ones, _ := route.Dst.Mask.Size(); ones == 0 && route.Dst.IP.IsUnspecified() {
			s.Gateway = append(s.Gateway, route.GW.String())
		}
	}
	return s
}
