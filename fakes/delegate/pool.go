// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/script"
)

// servePool does what an IPAM plugin does. A lease is a symbolic link
// to its holder: it is made with all that it says, or not at all, so executions at
// once need no lock, and one that is killed leaves nothing half made.
func servePool(command string, p *script.Pool, conf *configuration) error {
	own := os.Getenv("CNI_CONTAINERID") + "\n" + os.Getenv("CNI_IFNAME")
	switch command {
	case "ADD":
		result, err := allocate(p, own)
		if err != nil {
			return err
		}
		return types.PrintResult(result, conf.CNIVersion)
	case "DEL":
		return release(p, func(holder string) bool { return holder == own })
	case "GC":
		valid := map[string]bool{}
		for _, a := range conf.Valid {
			valid[a.ContainerID+"\n"+a.IfName] = true
		}
		return release(p, func(holder string) bool { return !valid[holder] })
	case "CHECK":
		held, err := leases(p)
		for _, holder := range held {
			if holder == own {
				return err
			}
		}
		return errors.Join(err, fmt.Errorf("the fake IPAM has no address for %q", own))
	}
	return nil
}

// leases are the holders by their addresses: container id and interface.
func leases(p *script.Pool) (map[string]string, error) {
	entries, err := os.ReadDir(p.Leases)
	if err != nil {
		return nil, err
	}
	held := map[string]string{}
	for _, e := range entries {
		content, err := os.Readlink(filepath.Join(p.Leases, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines := strings.SplitN(content, "\n", 3)
		if len(lines) == 3 {
			held[e.Name()] = lines[0] + "\n" + lines[1]
		}
	}
	return held, nil
}

func release(p *script.Pool, whether func(holder string) bool) error {
	held, err := leases(p)
	if err != nil {
		return err
	}
	for address, holder := range held {
		if !whether(holder) {
			continue
		}
		if err := os.Remove(filepath.Join(p.Leases, address)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// allocate takes an address of each subnet.
func allocate(p *script.Pool, own string) (*types100.Result, error) {
	r := &types100.Result{CNIVersion: types100.ImplementedSpecVersion}
	var gateways []net.IP
	for _, subnet := range p.Subnets {
		prefix, err := netip.ParsePrefix(subnet)
		if err != nil {
			return nil, err
		}
		gateway := prefix.Masked().Addr().Next()
		address, held := heldIn(p, prefix, own)
		if !held {
			address, err = take(p, prefix, gateway, own)
		}
		if err != nil {
			return nil, err
		}
		gateways = append(gateways, gateway.AsSlice())
		r.IPs = append(r.IPs, &types100.IPConfig{
			Address: net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(prefix.Bits(), address.BitLen())}, Gateway: gateway.AsSlice(),
		})
	}
	for _, dst := range p.Routes {
		_, network, err := net.ParseCIDR(dst)
		if err != nil {
			return nil, err
		}
		for _, gw := range gateways {
			if (gw.To4() != nil) == (network.IP.To4() != nil) {
				r.Routes = append(r.Routes, &types.Route{Dst: *network, GW: gw})
				break
			}
		}
	}
	return r, nil
}

// heldIn is the address of a subnet that the holder has already: a second ADD
// gets the same one.
func heldIn(p *script.Pool, prefix netip.Prefix, own string) (address netip.Addr, held bool) {
	all, err := leases(p)
	if err != nil {
		return address, false
	}
	for text, holder := range all {
		if a, err := netip.ParseAddr(text); err == nil && holder == own && prefix.Contains(a) {
			return a, true
		}
	}
	return address, false
}

// take makes the lease of the first free address. The last address of a subnet,
// its broadcast address, is not handed out.
func take(p *script.Pool, prefix netip.Prefix, gateway netip.Addr, own string) (netip.Addr, error) {
	for a := gateway.Next(); prefix.Contains(a) && prefix.Contains(a.Next()); a = a.Next() {
		err := os.Symlink(own+"\n"+os.Getenv("CNI_NETNS"), filepath.Join(p.Leases, a.String()))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		return a, err
	}
	return netip.Addr{}, fmt.Errorf("the fake IPAM has no address left in %s", prefix)
}
