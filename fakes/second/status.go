// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"log/slog"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// element is one of network-status (NPWG §5).
type element struct {
	Name      string     `json:"name"`
	Interface string     `json:"interface,omitempty"`
	IPs       []string   `json:"ips,omitempty"`
	MAC       string     `json:"mac,omitempty"`
	MTU       int        `json:"mtu,omitempty"`
	Default   bool       `json:"default,omitempty"`
	DNS       *types.DNS `json:"dns,omitempty"`
	Gateway   []string   `json:"gateway,omitempty"`
}

// elements are those of a network: one for each interface in the sandbox.
func (a *attached) elements() []element {
	var r types100.Result
	if json.Unmarshal(a.Result, &r) != nil {
		return nil
	}
	var all []element
	place := map[int]int{}
	for i, link := range r.Interfaces {
		if link.Sandbox != "" || broken("status-has-the-host-end") {
			place[i] = len(all)
			all = append(all, element{Name: a.Name, Interface: link.Name, MAC: link.Mac, MTU: link.Mtu})
		}
	}
	if len(all) == 0 {
		all = []element{{Name: a.Name}}
	}
	first := 0
	for _, ip := range r.IPs {
		at := 0
		if ip.Interface != nil && len(place) > 0 {
			var inside bool
			if at, inside = place[*ip.Interface]; !inside {
				continue // the host's end
			}
		}
		all[at].IPs = append(all[at].IPs, ip.Address.IP.String())
		if ip.Gateway != nil && first == 0 {
			first = at
		}
	}
	all[first].Default = a.Default
	for _, route := range r.Routes {
		if isDefault(&route.Dst) && route.GW != nil {
			all[first].Gateway = append(all[first].Gateway, route.GW.String())
		}
	}
	if d := r.DNS; len(d.Nameservers)+len(d.Search)+len(d.Options) > 0 || d.Domain != "" {
		all[0].DNS = &d
	}
	return all
}

// publish writes the status of a record's pod; that it cannot be written does
// not fail the request.
func (e *engine) publish(r *record) {
	var all []element
	for _, a := range r.Networks {
		if a.Result != nil {
			all = append(all, a.elements()...)
		}
	}
	if broken("status-in-reverse") {
		for i := range len(all) / 2 {
			all[i], all[len(all)-1-i] = all[len(all)-1-i], all[i]
		}
	}
	if err := e.cluster.publish(r.Pod, all); err != nil {
		slog.Warn("the network status cannot be written", "pod", r.Pod.Namespace+"/"+r.Pod.Name, "why", err)
	}
}

// withdraw takes the status of a deleted record away, unless a later sandbox of
// the pod has written its own.
func (e *engine) withdraw(r *record) {
	all, err := e.store.all()
	if err != nil {
		return
	}
	for _, other := range all {
		if other.Pod == r.Pod && other.key() != r.key() && other.Complete {
			e.publish(other)
			return
		}
		if other.Pod.Namespace == r.Pod.Namespace && other.Pod.Name == r.Pod.Name && other.Pod.UID != r.Pod.UID {
			return
		}
	}
	if err := e.cluster.publish(r.Pod, nil); err != nil {
		slog.Warn("the network status cannot be taken away", "pod", r.Pod.Namespace+"/"+r.Pod.Name, "why", err)
	}
}
