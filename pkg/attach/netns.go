// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// errNotNetns marks a path at which something else than a network namespace
// lies.
var errNotNetns = errors.New("not a network namespace")

// openNetns opens a sandbox's network namespace; an error is CNI's code 4 and
// names CNI_NETNS (ADD-13). It wraps fs.ErrNotExist or errNotNetns where that is
// what is wrong.
func openNetns(path string) (ns.NetNS, error) {
	space, err := ns.GetNS(path)
	var missing ns.NSPathNotExistErr
	var other ns.NSPathNotNSErr
	switch {
	case err == nil:
		return space, nil
	case errors.As(err, &missing), errors.Is(err, fs.ErrNotExist):
		return nil, netnsError{invalidNetns(path, "does not exist"), fs.ErrNotExist}
	case errors.As(err, &other):
		return nil, netnsError{invalidNetns(path, "is not a network namespace"), errNotNetns}
	default:
		return nil, invalidNetns(path, err.Error())
	}
}

// netnsError is a CNI error about a path, with its kind.
type netnsError struct {
	error
	kind error
}

// Unwrap returns the CNI error and its kind.
func (e netnsError) Unwrap() []error { return []error{e.error, e.kind} }

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
