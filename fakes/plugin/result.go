// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
)

// result is the success of ADD (CNI §5), as far as this plugin makes or reads
// one.
type result struct {
	CNIVersion string          `json:"cniVersion"`
	Interfaces []iface         `json:"interfaces,omitempty"`
	IPs        []ipConf        `json:"ips,omitempty"`
	Routes     []route         `json:"routes,omitempty"`
	DNS        json.RawMessage `json:"dns,omitempty"`
}

type iface struct {
	Name    string `json:"name"`
	MAC     string `json:"mac,omitempty"`
	MTU     int    `json:"mtu,omitempty"`
	Sandbox string `json:"sandbox,omitempty"`
}

type ipConf struct {
	// Version is "4" or "6" in the results of 0.3.1 and 0.4.0, which later
	// versions do not have.
	Version   string `json:"version,omitempty"`
	Interface *int   `json:"interface,omitempty"`
	Address   string `json:"address"`
	Gateway   string `json:"gateway,omitempty"`
}

// prefix is the address with its network's length.
func (i *ipConf) prefix() (netip.Prefix, error) { return netip.ParsePrefix(i.Address) }

type route struct {
	Dst string `json:"dst"`
	GW  string `json:"gw,omitempty"`
}

// readResult reads a result, of any version.
func readResult(data []byte) (*result, error) {
	if len(bytes.TrimSpace(data)) == 0 || bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil, fail(codeConfig, "prevResult is missing")
	}
	var r result
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fail(codeDecoding, "the result: %v", err)
	}
	for _, ip := range r.IPs {
		if _, err := ip.prefix(); err != nil {
			return nil, fail(codeDecoding, "the result's address %q: %v", ip.Address, err)
		}
		if ip.Interface != nil && *ip.Interface >= len(r.Interfaces) {
			return nil, fail(codeDecoding, "the result's address %s is on interface %d, which it does not list", ip.Address, *ip.Interface)
		}
	}
	for _, to := range r.Routes {
		if _, _, err := net.ParseCIDR(to.Dst); err != nil {
			return nil, fail(codeDecoding, "the result's route to %q: %v", to.Dst, err)
		}
	}
	return &r, nil
}

// printResult prints the result in the shape of the configuration's version.
func (c *call) printResult(r *result) error {
	r.CNIVersion = c.conf.CNIVersion
	if c.has(resultAlways100) {
		r.CNIVersion = "1.0.0"
	}
	for i := range r.IPs {
		p, err := r.IPs[i].prefix()
		if err != nil {
			return err
		}
		r.IPs[i].Version = ""
		if r.CNIVersion < "1.0.0" && !c.has(resultNewestShape) {
			r.IPs[i].Version = map[bool]string{true: "4", false: "6"}[p.Addr().Is4()]
		}
	}
	for i := range r.Interfaces {
		if r.CNIVersion < "1.1.0" {
			r.Interfaces[i].MTU = 0
		}
	}
	return c.print(r)
}
