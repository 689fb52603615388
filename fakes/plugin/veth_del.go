// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// vethDel removes the pair, the rules, and at last the addresses, so that nobody
// gets one that is still in use. It needs the attachment's names alone.
func (c *call) vethDel() error {
	if early, err := c.faultyDel(); early || err != nil {
		return err
	}
	err := c.disconnect()
	if c.has(keepsLease) {
		return err
	}
	return errors.Join(err, c.release())
}

// faultyDel has those faults of DEL that show before anything is done.
func (c *call) faultyDel() (early bool, err error) {
	switch c.fault {
	case delNeedsPrevResult:
		_, err = readResult(c.conf.PrevResult)
	case delNeedsNamespace:
		var ns *namespace
		if ns, err = c.openNamespace(); err == nil {
			_ = ns.Close()
		}
	case plainFileEndsDel:
		ns, e := c.openNamespace()
		if e == nil {
			_ = ns.Close()
		}
		early = e != nil && exists(c.env.netns)
	case recordLast:
		early = os.Remove(filepath.Join(c.conf.StateDir, string(c.key()))) != nil
	case notFoundIsError:
		if _, err = netlink.LinkByName(c.key().hostEnd()); err != nil {
			err = fmt.Errorf("the host end: %w", err)
		}
	case keepsMasquerade:
		ns, e := c.openNamespace()
		if e != nil {
			return true, errors.Join(c.unlink(), c.release())
		}
		_ = ns.Close()
	}
	return early, err
}

// disconnect removes the pair and its rules.
func (c *call) disconnect() error {
	return errors.Join(c.unlink(), c.dropRules(func(k key) bool { return k == c.key() }))
}

// unlink removes the host's end, and with it the container's.
func (c *call) unlink() error {
	switch {
	case c.has(keepsLink):
		return nil
	case c.has(countsHostEnds):
		return removeLinks(func(k key) bool { return k == c.key() })
	case c.has(delByContainer), c.has(attachesOnce):
		return removeLinks(func(k key) bool { return k.container() == c.key().container() })
	}
	return removeLink(c.key().hostEnd())
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if errors.As(err, &netlink.LinkNotFoundError{}) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// removeLinks removes the host ends whose attachments f chooses.
func removeLinks(f func(key) bool) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list the links: %w", err)
	}
	var failed error
	for _, l := range links {
		if a := l.Attrs(); strings.HasPrefix(a.Name, "thin") && f(key(a.Alias)) {
			failed = errors.Join(failed, removeLink(a.Name))
		}
	}
	return failed
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// vethGC removes links and rules of attachments that are not valid any more, and
// has the IPAM plugin do the same. It goes on after an error (CNI §2).
func (c *call) vethGC() error {
	valid, err := c.valid()
	if err != nil {
		return err
	}
	stale := c.stale(valid)
	err = errors.Join(removeLinks(stale), c.dropRules(stale))
	if c.has(gcNotForwarded) {
		return err
	}
	_, delegated := c.delegate("GC")
	return errors.Join(err, delegated)
}

// vethStatus is IPAM's: nothing else can be missing.
func (c *call) vethStatus() error {
	if c.has(statusAlways0) {
		return nil
	}
	_, err := c.delegate("STATUS")
	return err
}

// noDAD is the flag of an address that is used at once; it is IPv6's.
func noDAD(ip net.IP) int {
	if ip.To4() != nil {
		return 0
	}
	return unix.IFA_F_NODAD
}
