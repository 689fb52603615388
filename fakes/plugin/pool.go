// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"net/netip"
	"slices"
)

// rangeConf is one range of a configuration, with the keys that the field has
// agreed on.
type rangeConf struct {
	Subnet     string `json:"subnet"`
	RangeStart string `json:"rangeStart,omitempty"`
	RangeEnd   string `json:"rangeEnd,omitempty"`
	Gateway    string `json:"gateway,omitempty"`
}

// pool is what one address of an attachment is taken from.
type pool []addressRange

type addressRange struct {
	subnet               netip.Prefix
	first, last, gateway netip.Addr
}

// pools reads the ranges of the configuration. Those that the runtime gives come
// before the configuration's own.
func (c *call) pools() ([]pool, error) {
	var pools []pool
	for _, set := range slices.Concat(c.conf.RuntimeConfig.IPRanges, c.conf.IPAM.Ranges) {
		var p pool
		for _, r := range set {
			parsed, err := r.parse()
			if err != nil {
				return nil, err
			}
			p = append(p, parsed)
		}
		if len(p) > 0 {
			pools = append(pools, p)
		}
	}
	if len(pools) == 0 {
		return nil, fail(codeConfig, "ipam.ranges is missing: there is nothing to take an address from")
	}
	return pools, nil
}

func (r *rangeConf) parse() (addressRange, error) {
	var none, a addressRange
	var err error
	if a.subnet, err = netip.ParsePrefix(r.Subnet); err != nil {
		return none, fail(codeConfig, "ipam.ranges: subnet %q: %v", r.Subnet, err)
	}
	a.subnet = a.subnet.Masked()
	if a.subnet.Addr().BitLen()-a.subnet.Bits() < 2 {
		return none, fail(codeConfig, "ipam.ranges: subnet %s has no address to give", r.Subnet)
	}
	a.first, a.last = a.subnet.Addr().Next(), lastOf(a.subnet)
	if a.subnet.Addr().Is4() {
		a.last = a.last.Prev() // the broadcast address
	}
	a.gateway = a.first
	for _, o := range []struct {
		key, text string
		to        *netip.Addr
	}{{"gateway", r.Gateway, &a.gateway}, {"rangeStart", r.RangeStart, &a.first}, {"rangeEnd", r.RangeEnd, &a.last}} {
		if o.text == "" {
			continue
		}
		if *o.to, err = netip.ParseAddr(o.text); err != nil {
			return none, fail(codeConfig, "ipam.ranges: %s %q: %v", o.key, o.text, err)
		}
		if o.key != "gateway" && !a.subnet.Contains(*o.to) {
			return none, fail(codeConfig, "ipam.ranges: %s %s is not in %s", o.key, o.text, a.subnet)
		}
	}
	return a, nil
}

// lastOf is a network's last address.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// find returns the range that can give out the address.
func (p pool) find(a netip.Addr) (*addressRange, bool) {
	for i := range p {
		if r := &p[i]; r.gives(a) {
			return r, true
		}
	}
	return nil, false
}

// gives reports whether the address is one that the range can give out.
func (r *addressRange) gives(a netip.Addr) bool {
	network := r.subnet.Addr()
	broadcast := r.subnet.Addr().Is4() && a == lastOf(r.subnet)
	return r.subnet.Contains(a) && a.Compare(r.first) >= 0 && a.Compare(r.last) <= 0 && a != r.gateway && a != network && !broadcast
}

// free returns the pool's first address that is not taken.
func (p pool) free(taken map[netip.Addr]bool, gatewayToo bool) (netip.Addr, *addressRange, bool) {
	for i := range p {
		r := &p[i]
		for a := r.first; a.IsValid() && a.Compare(r.last) <= 0; a = a.Next() {
			if !taken[a] && (r.gives(a) || gatewayToo && a == r.gateway) {
				return a, r, true
			}
		}
	}
	return netip.Addr{}, nil, false
}
