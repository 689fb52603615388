// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// openNetns opens a sandbox's network namespace; an error is CNI's code 4 and
// names CNI_NETNS (ADD-13).
func openNetns(path string) (ns.NetNS, error) {
	space, err := ns.GetNS(path)
	var missing ns.NSPathNotExistErr
	var other ns.NSPathNotNSErr
	switch {
	case err == nil:
		return space, nil
	case errors.As(err, &missing):
		return nil, invalidNetns(path, "does not exist")
	case errors.As(err, &other):
		return nil, invalidNetns(path, "is not a network namespace")
	default:
		return nil, invalidNetns(path, err.Error())
	}
}

// findNetns says whether there is a namespace at a path; its error is openNetns'.
func findNetns(path string) error {
	space, err := openNetns(path)
	if err == nil {
		err = space.Close()
	}
	return err
}

func invalidNetns(path, what string) error {
	return invalidRequest(fmt.Sprintf("CNI_NETNS: %s %s", path, what))
}

// inode identifies a namespace beyond its path.
func inode(path string) uint64 {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return 0
	}
	return st.Ino
}

// linkNames lists the interfaces of a namespace.
func linkNames(space ns.NetNS) (map[string]bool, error) {
	h, err := netlink.NewHandleAt(netns.NsHandle(space.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("interfaces of %s: %w", space.Path(), err)
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		return nil, fmt.Errorf("interfaces of %s: %w", space.Path(), err)
	}
	names := make(map[string]bool, len(links))
	for _, l := range links {
		names[l.Attrs().Name] = true
	}
	return names, nil
}

// checkFree refuses an attachment whose interface name the namespace already
// has, before any delegate runs (ADD-07).
func checkFree(netnsPath string, attachments []ledger.Attachment) error {
	space, err := openNetns(netnsPath)
	if err != nil {
		return err
	}
	defer space.Close()
	names, err := linkNames(space)
	if err != nil {
		return cniError(err, "CNI_NETNS")
	}
	for _, a := range attachments {
		if names[a.Interface] && !a.Auxiliary {
			return types.NewError(types.ErrInvalidNetworkConfig,
				fmt.Sprintf("network %q cannot be attached as %s: %s already has an interface of that name", a.Network, a.Interface, netnsPath), "")
		}
	}
	return nil
}

// netnsForDel is the CNI_NETNS that delegates get at DEL: the runtime's, or
// none once that path is gone, which the CNI spec (section 2, DEL) allows and
// which plugins handle better than a path that leads nowhere (DEL-03).
func netnsForDel(path string) string {
	if path == "" {
		return ""
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return path
}
