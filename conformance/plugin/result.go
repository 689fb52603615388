// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
)

// Result is the success type of section 5 in versions 0.3.0 and later, read as it
// is: nothing is converted, and Fields has what no other field has.
type Result struct {
	CNIVersion string      `json:"cniVersion"`
	Interfaces []Interface `json:"interfaces"`
	IPs        []IP        `json:"ips"`
	Routes     []Route     `json:"routes"`
	DNS        DNS         `json:"dns"`
	// Fields is the whole object.
	Fields map[string]any `json:"-"`
	// Raw is what was printed.
	Raw []byte `json:"-"`
}

// Interface is one of a result's interfaces. Sandbox is empty for one of the
// host's.
type Interface struct {
	Name       string `json:"name"`
	Mac        string `json:"mac"`
	MTU        int    `json:"mtu"`
	Sandbox    string `json:"sandbox"`
	SocketPath string `json:"socketPath"`
	PciID      string `json:"pciID"`
}

// IP is one of a result's addresses. Interface is the index of its interface, nil
// when it names none. Version is "4" or "6" before 1.0.0.
type IP struct {
	Version   string `json:"version"`
	Interface *int   `json:"interface"`
	Address   string `json:"address"`
	Gateway   string `json:"gateway"`
}

// Route is one of a result's routes.
type Route struct {
	Dst      string `json:"dst"`
	GW       string `json:"gw"`
	MTU      int    `json:"mtu"`
	AdvMSS   int    `json:"advmss"`
	Priority int    `json:"priority"`
	Table    *int   `json:"table"`
	Scope    *int   `json:"scope"`
}

// DNS is a result's dns.
type DNS struct {
	Nameservers []string `json:"nameservers"`
	Domain      string   `json:"domain"`
	Search      []string `json:"search"`
	Options     []string `json:"options"`
}

// ParseResult reads exactly one JSON object.
func ParseResult(data []byte) (*Result, error) {
	fields, err := oneObject(data)
	if err != nil {
		return nil, err
	}
	r := &Result{Fields: fields, Raw: data}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("not a result: %w", err)
	}
	return r, nil
}

// oneObject decodes a JSON object, after which nothing else may follow.
func oneObject(data []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil {
		return nil, fmt.Errorf("no JSON object on stdout: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON document on stdout")
	}
	return fields, nil
}

// Addresses are the result's addresses without their prefix lengths.
func (r *Result) Addresses() []netip.Addr {
	var all []netip.Addr
	for _, ip := range r.IPs {
		if p, err := netip.ParsePrefix(ip.Address); err == nil {
			all = append(all, p.Addr())
		}
	}
	return all
}

// OneDocument reports why an output is not exactly one JSON object.
func OneDocument(data []byte) error {
	_, err := oneObject(data)
	return err
}
