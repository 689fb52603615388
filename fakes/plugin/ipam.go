// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ipamAdd takes an address from each pool, or none.
func (c *call) ipamAdd() error {
	pools, err := c.pools()
	if err != nil {
		return err
	}
	requested, err := c.requested()
	if err != nil {
		return err
	}
	r := &result{Routes: c.conf.IPAM.Routes}
	err = c.withLeases(func(l *leases) error {
		r.IPs, err = l.allocate(pools, requested)
		return err
	})
	if err != nil {
		return err
	}
	switch c.fault {
	case ipamInterfaces:
		r.Interfaces = []iface{{Name: c.env.ifname, Sandbox: c.env.netns}}
	case ipamInterfaceIndex:
		zero := 0
		for i := range r.IPs {
			r.IPs[i].Interface = &zero
		}
	}
	return c.printResult(r)
}

// requested returns the addresses that were asked for. The runtime's come first,
// and CNI_ARGS counts only when args does not ask (CONVENTIONS).
func (c *call) requested() ([]netip.Addr, error) {
	texts := c.conf.RuntimeConfig.IPs
	if c.has(ipamIgnoresIPs) {
		texts = nil
	}
	if len(texts) == 0 {
		texts = c.conf.Args.CNI.IPs
	}
	if given := c.env.arg("IP"); given != "" && (len(texts) == 0 || c.has(ipamMerges)) {
		texts = append(texts, given)
	}
	var all []netip.Addr
	for _, t := range texts {
		address, _, _ := strings.Cut(t, "/")
		a, err := netip.ParseAddr(address)
		if err != nil {
			return nil, fail(codeConfig, "ips: %q is not an IP address", t)
		}
		all = append(all, a)
	}
	return all, nil
}

// allocate chooses all addresses before it takes the first.
func (l *leases) allocate(pools []pool, requested []netip.Addr) ([]ipConf, error) {
	all, err := l.all()
	if err != nil {
		return nil, err
	}
	me := l.c.key()
	taken := map[netip.Addr]bool{}
	for _, x := range all {
		if x.of == me && !l.c.has(ipamSecondAddress) {
			return nil, fail(codeFailed, "container %s has %s already for %s", l.c.env.container, x.addr, l.c.env.ifname)
		}
		taken[x.addr] = true
	}
	var ips []ipConf
	for _, p := range pools {
		a, r, err := l.choose(p, &requested, taken)
		if err != nil {
			return nil, err
		}
		taken[a] = true
		ips = append(ips, ipConf{Address: netip.PrefixFrom(a, r.subnet.Bits()).String(), Gateway: r.gateway.String()})
		if l.c.has(ipamKeepsHalf) {
			if err := l.take(lease{a, me}); err != nil {
				return nil, err
			}
		}
	}
	if l.c.has(ipamMerges) {
		for _, a := range requested {
			ips = append(ips, ipConf{Address: netip.PrefixFrom(a, a.BitLen()).String()})
		}
	} else if len(requested) > 0 && !l.c.has(ipamTakesOutOfRange) {
		return nil, fail(codeConfig, "ips: %s is not in a range of the network", requested[0])
	}
	return ips, l.takeAll(ips)
}

// choose takes the requested address that is of the pool, else any. It removes
// from requested what it chose.
func (l *leases) choose(p pool, requested *[]netip.Addr, taken map[netip.Addr]bool) (netip.Addr, *addressRange, error) {
	for i, a := range *requested {
		r, ok := p.find(a)
		if !ok {
			continue
		}
		if taken[a] {
			return a, nil, fail(codeFailed, "ips: %s is taken", a)
		}
		*requested = slices.Delete(*requested, i, i+1)
		return a, r, nil
	}
	a, r, ok := p.free(taken, l.c.has(ipamGateway))
	if !ok {
		return a, nil, fail(codeTryAgain, "no address is left in %s", p[0].subnet)
	}
	return a, r, nil
}

// takeAll writes the leases of an attachment, or none.
func (l *leases) takeAll(ips []ipConf) error {
	me := l.c.key()
	if l.c.has(ipamNoLock) {
		time.Sleep(20 * time.Millisecond)
	}
	for _, ip := range ips {
		p, err := ip.prefix()
		if err == nil {
			err = l.take(lease{p.Addr(), me})
		}
		if err != nil {
			_, undone := l.release(func(x lease) bool { return x.of == me })
			return fmt.Errorf("lease %s: %w; undone: %v", ip.Address, err, undone == nil)
		}
	}
	if l.c.has(ipamIndexFile) {
		time.Sleep(20 * time.Millisecond)
		return l.index()
	}
	return nil
}

// index writes the names of all leases, for the fault ipam-index-last.
func (l *leases) index() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return os.WriteFile(filepath.Join(l.dir, "index"), []byte(strings.Join(names, "\n")), 0o600)
}

// ipamDel releases what the attachment has. It needs neither ranges nor a
// namespace for it.
func (c *call) ipamDel() error {
	me := c.key()
	if c.has(ipamDelNamespace) {
		ns, err := c.openNamespace()
		if err != nil {
			return err
		}
		_ = ns.Close()
	}
	var pools []pool
	if c.has(ipamDelConfig) {
		var err error
		if pools, err = c.pools(); err != nil {
			return err
		}
	}
	return c.withLeases(func(l *leases) error {
		n, err := l.release(func(x lease) bool {
			if c.has(ipamDelConfig) && !slices.ContainsFunc(pools, func(p pool) bool { _, ok := p.find(x.addr); return ok }) {
				return false
			}
			return x.of == me || c.has(ipamReleasesAll) && x.of.container() == me.container()
		})
		if err == nil && n == 0 && c.has(ipamDelTwice) {
			return fail(codeFailed, "no address of container %s was found", c.env.container)
		}
		if c.has(ipamIndexFile) && n > 0 {
			_ = os.Remove(filepath.Join(l.dir, "index"))
			return l.index()
		}
		return err
	})
}

// ipamCheck compares the leases with prevResult, which may have addresses of
// other plugins too.
func (c *call) ipamCheck() error {
	switch c.fault {
	case ipamCheckNone:
		return fail(codeFailed, "CHECK is not implemented")
	case ipamCheck0:
		return nil
	}
	prev, err := readResult(c.conf.PrevResult)
	if err != nil {
		return err
	}
	pools, err := c.pools()
	if err != nil {
		return err
	}
	said := map[netip.Addr]bool{}
	for _, ip := range prev.IPs {
		p, _ := ip.prefix()
		said[p.Addr()] = true
	}
	me, mine := c.key(), 0
	err = c.withLeases(func(l *leases) error {
		all, err := l.all()
		for _, x := range all {
			if x.of != me {
				continue
			}
			if mine++; !said[x.addr] {
				return fail(codeFailed, "the result does not have %s, which is this attachment's", x.addr)
			}
		}
		return err
	})
	if err == nil && mine < len(pools) {
		return fail(codeFailed, "container %s has %d addresses for %s, not %d", c.env.container, mine, c.env.ifname, len(pools))
	}
	return err
}

// ipamGC releases what is of no valid attachment.
func (c *call) ipamGC() error {
	valid, err := c.valid()
	if err != nil {
		return err
	}
	stale := c.stale(valid)
	return c.withLeases(func(l *leases) error {
		seen := map[string]bool{}
		_, err := l.release(func(x lease) bool {
			switch c.fault {
			case ipamGCAll:
				return true
			case ipamGCNone:
				return false
			case ipamGCContainer:
				name := string(x.of)[len(x.of.container()):]
				again := seen[name]
				seen[name] = true
				return again || stale(x.of)
			}
			return stale(x.of)
		})
		return err
	})
}

// ipamStatus reports whether each pool has an address left.
func (c *call) ipamStatus() error {
	if c.has(ipamStatus0) {
		return nil
	}
	pools, err := c.pools()
	if err != nil {
		return fail(codeUnavailable, "%s", err.Error())
	}
	return c.withLeases(func(l *leases) error {
		all, err := l.all()
		if err != nil {
			return err
		}
		taken := map[netip.Addr]bool{}
		for _, x := range all {
			taken[x.addr] = true
		}
		for _, p := range pools {
			if _, _, ok := p.free(taken, false); !ok {
				return fail(codeUnavailable, "no address is left in %s", p[0].subnet)
			}
		}
		return nil
	})
}
