// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is the container's network namespace, open.
type namespace struct {
	fd netns.NsHandle
	// Handle works in it.
	*netlink.Handle
}

// openNamespace opens what CNI_NETNS names. A missing one, and something else
// than a network namespace, means that there is no container (code 3). The
// plugin's own is refused: it belongs to no container.
func (c *call) openNamespace() (*namespace, error) {
	// What hangs when it is opened, such as a FIFO, is not a namespace.
	fd, err := unix.Open(c.env.netns, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fail(codeNoContainer, "CNI_NETNS %q: %v", c.env.netns, err)
	}
	h, err := netlink.NewHandleAt(netns.NsHandle(fd), unix.NETLINK_ROUTE)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fail(codeNoContainer, "CNI_NETNS %q is not a network namespace: %v", c.env.netns, err)
	}
	ns := &namespace{netns.NsHandle(fd), h}
	if own, err := netns.Get(); err == nil {
		defer func() { _ = own.Close() }()
		if own.Equal(ns.fd) && !c.has(worksOnHost) {
			_ = ns.Close()
			return nil, fail(codeEnvironment, "CNI_NETNS %q is the plugin's own namespace", c.env.netns)
		}
	}
	return ns, nil
}

// Close closes the namespace.
func (n *namespace) Close() error {
	n.Handle.Close()
	return n.fd.Close()
}

// do calls f on a thread that is in the namespace. The thread ends with it.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(n.fd); err != nil {
			done <- fmt.Errorf("enter the namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// sysctlPath is where a setting of the network is read and written; ifname
// takes the place of IFNAME.
func sysctlPath(name, ifname string) (string, error) {
	path, err := expand(name, ifname)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fail(codeConfig, "sysctl %s: %v", name, err)
	}
	return path, nil
}
