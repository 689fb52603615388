// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceOf is the identity of the network namespace at a path, "" when there
// is none.
func namespaceOf(path string) string {
	var fs unix.Statfs_t
	if path == "" || unix.Statfs(path, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return identity(info)
}

// folderOf is the identity of the directory that a namespace's path is in.
func folderOf(path string) string {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return ""
	}
	return identity(info)
}

// unseen reports whether the namespace of a record of this boot is neither there
// nor seen to be gone: another file system hides its directory, or the mount is
// missing (RES-09).
func (r *record) unseen() bool {
	if namespaceOf(r.Netns) != "" || strings.HasPrefix(r.Netns, "/proc/") {
		return false
	}
	_, err := os.Lstat(r.Netns)
	return !errors.Is(err, os.ErrNotExist) || folderOf(r.Netns) != r.Folder
}

func inNamespace(path string, do func(*netlink.Handle) error) error {
	fd, err := netns.GetFromPath(path)
	if err != nil {
		return err
	}
	defer func() { _ = fd.Close() }()
	h, err := netlink.NewHandleAt(fd)
	if err != nil {
		return err
	}
	defer h.Close()
	return do(h)
}

// interfacesIn are the names of the interfaces of a namespace.
func interfacesIn(path string) (map[string]bool, error) {
	names := map[string]bool{}
	err := inNamespace(path, func(h *netlink.Handle) error {
		links, err := h.LinkList()
		for _, l := range links {
			names[l.Attrs().Name] = true
		}
		return err
	})
	return names, err
}

func familyOf(ip net.IP) int {
	if ip.To4() != nil {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

func isDefault(dst *net.IPNet) bool {
	if dst == nil {
		return true
	}
	ones, _ := dst.Mask.Size()
	return ones == 0
}

// moveDefaultRoutes makes the gateways that selections ask for the sandbox's own,
// and takes the default routes of that family out of the other results (NET-03).
func (e *engine) moveDefaultRoutes(r *record) error {
	for _, a := range r.Networks {
		for _, gateway := range a.Gateways {
			ip := net.ParseIP(gateway)
			if err := inNamespace(r.Netns, func(h *netlink.Handle) error { return replaceDefault(h, a.IfName, ip) }); err != nil {
				return err
			}
			for _, other := range r.Networks {
				if other != a {
					if err := e.dropDefaults(r, other, familyOf(ip)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func replaceDefault(h *netlink.Handle, ifName string, gateway net.IP) error {
	link, err := h.LinkByName(ifName)
	if err != nil {
		return err
	}
	family := familyOf(gateway)
	if broken("default-route-v4-only") && family == netlink.FAMILY_V6 {
		return nil
	}
	routes, err := h.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if isDefault(route.Dst) {
			if err := h.RouteDel(&route); err != nil {
				return err
			}
		}
	}
	anywhere := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if family == netlink.FAMILY_V6 {
		anywhere = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	return h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: anywhere, Gw: gateway})
}

// dropDefaults takes default routes out of a result, here and in libcni's cache.
func (e *engine) dropDefaults(r *record, a *attached, family int) error {
	var result types100.Result
	if err := json.Unmarshal(a.Result, &result); err != nil {
		return err
	}
	kept := result.Routes[:0]
	for _, route := range result.Routes {
		if !isDefault(&route.Dst) || familyOf(route.Dst.IP) != family {
			kept = append(kept, route)
		}
	}
	if len(kept) == len(result.Routes) {
		return nil
	}
	result.Routes = kept
	var err error
	if a.Result, err = json.Marshal(&result); err != nil {
		return err
	}
	path := e.cacheFile(r, a)
	data, err := readRegular(path, largestManifest)
	if err != nil {
		return err
	}
	var cached map[string]json.RawMessage
	if err := json.Unmarshal(data, &cached); err != nil {
		return err
	}
	cached["result"] = a.Result
	if data, err = json.Marshal(cached); err != nil {
		return err
	}
	return replaceFile(path, data, true)
}
