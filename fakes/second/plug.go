// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// pending reports whether a network was being plugged, or unplugged, when the
// daemon ended, or could not be unplugged.
func (a *attached) pending() bool { return a.Plugged && a.Result == nil }

// settle takes back what was begun on /delegate and not answered with success.
// The container's lock is held, so nobody else is at it (HOT-10).
func (e *engine) settle(ctx context.Context, r *record) {
	if !slices.ContainsFunc(r.Networks, (*attached).pending) || broken("never-settles") {
		return
	}
	var kept []*attached
	for _, a := range r.Networks {
		if a.pending() {
			if err := e.detach(context.WithoutCancel(ctx), r, a, e.namespaceToUse(r, r.Netns)); err == nil {
				continue
			}
		}
		kept = append(kept, a)
	}
	r.Networks = kept
	if err := e.store.put(r, true); err != nil {
		slog.Warn("the record is not up to date", "container", r.Container, "why", err)
	}
	r.Networks = slices.DeleteFunc(slices.Clone(kept), func(a *attached) bool { return a.pending() && r.Complete })
}

// plug is a request on /delegate.
func (e *engine) plug(ctx context.Context, req *request, records []*record) (*types100.Result, error) {
	at := slices.IndexFunc(records, func(r *record) bool { return r.Complete })
	command, ifName := req.Env["CNI_COMMAND"], req.Env["CNI_IFNAME"]
	if at < 0 {
		if command == "DEL" {
			return nil, nil
		}
		return nil, refuse(types.ErrUnknownContainer, "container %s is not attached", req.Env["CNI_CONTAINERID"])
	}
	r := records[at]
	if command == "ADD" {
		return e.plugIn(ctx, r, req, records)
	}
	for _, r := range records {
		if i := slices.IndexFunc(r.Networks, func(a *attached) bool { return a.IfName == ifName && a.Plugged }); i >= 0 {
			if command == "CHECK" {
				if err := e.sameNamespace(r, req.Env["CNI_NETNS"]); err != nil {
					return nil, err
				}
				return nil, e.checkOne(ctx, r, r.Networks[i], req.Env["CNI_NETNS"])
			}
			return nil, e.plugOut(ctx, r, r.Networks[i], req.Env["CNI_NETNS"])
		}
	}
	if command == "CHECK" {
		return nil, refuse(types.ErrUnknownContainer, "nothing was plugged as %s into container %s", ifName, r.Container)
	}
	return nil, nil
}

// toPlug reads the network that a request wants plugged.
func (e *engine) toPlug(req *request) (*attached, error) {
	list, err := e.plan.listOf(req.Config, "plugged")
	if err != nil {
		return nil, err
	}
	a := &attached{Name: nameOf(list), IfName: req.Env["CNI_IFNAME"], List: list, Plugged: true, Instance: e.instance, Capabilities: map[string]any{}}
	if asked := req.InterfaceAttributes; asked != nil && !broken("plug-drops-attributes") {
		if len(asked.IPs) > 0 {
			a.Capabilities["ips"] = asked.IPs
		}
		if asked.MAC != "" {
			a.Capabilities["mac"] = asked.MAC
		}
		for _, ip := range asked.IPs {
			if !isAddress(ip) {
				return nil, refuse(types.ErrInvalidNetworkConfig, "ips: %q is not an address", cut(ip, 64))
			}
		}
		if asked.MAC != "" && !isHardware(asked.MAC, 6) {
			return nil, refuse(types.ErrInvalidNetworkConfig, "mac: %q is not an Ethernet address", cut(asked.MAC, 64))
		}
		if len(asked.Args) > 0 {
			if a.List, err = withArgs(list, asked.Args); err != nil {
				return nil, err
			}
		}
	}
	return a, nil
}

// unanswered is the same network as an earlier daemon has plugged it, whose
// answer may have been lost with the daemon: its client asks again (HOT-10).
func (e *engine) unanswered(r *record, a *attached) *attached {
	for _, known := range r.Networks {
		same := known.Plugged && known.IfName == a.IfName && known.Instance != e.instance && bytes.Equal(known.List, a.List)
		if same && maps.EqualFunc(known.Capabilities, a.Capabilities, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			return known
		}
	}
	return nil
}

func (e *engine) plugIn(ctx context.Context, r *record, req *request, records []*record) (*types100.Result, error) {
	if err := e.sameNamespace(r, req.Env["CNI_NETNS"]); err != nil {
		return nil, err
	}
	pod, err := e.cluster.pod(podOf(req.args()))
	if err != nil {
		return nil, err
	}
	a, err := e.toPlug(req)
	if err != nil {
		return nil, err
	}
	if err := e.plan.installed(a); err != nil {
		return nil, err
	}
	if known := e.unanswered(r, a); known != nil {
		answer := &types100.Result{}
		return answer, json.Unmarshal(known.Result, answer)
	}
	if err := distinct(r, append(slices.Clone(r.Networks), a)); err != nil {
		return nil, err
	}
	if err := e.free(r, records, []*attached{a}); err != nil {
		return nil, err
	}
	before := r.Networks
	r.Networks = append(slices.Clone(before), a)
	if !broken("plug-recorded-late") {
		if err := e.store.put(r, false); err != nil {
			return nil, err
		}
	}
	if err = e.attach(ctx, r, a); err == nil {
		a.Name = nameInStatus(e, r, pod, a)
		if err = ctx.Err(); err == nil && !broken("plug-not-recorded") {
			err = e.store.put(r, false)
		}
	}
	if err != nil {
		a.Result = nil
		e.settle(ctx, r)
		return nil, err
	}
	e.publish(r)
	answer := &types100.Result{}
	return answer, json.Unmarshal(a.Result, answer)
}

// nameInStatus is the name that the pod's annotation has for a plugged network,
// its own where the annotation has none (HOT-07).
func nameInStatus(e *engine, r *record, pod *manifest, a *attached) string {
	asked, err := selections(pod.Metadata.Annotations[networksAnnotation], r.Pod.Namespace)
	if err != nil {
		return a.Name
	}
	for _, s := range asked {
		if s.Interface == a.IfName {
			return s.Namespace + "/" + s.Name
		}
	}
	for _, s := range asked {
		if list, err := e.plan.definition(s.Namespace, s.Name); err == nil && s.Interface == "" && nameOf(list) == nameOf(a.List) {
			return s.Namespace + "/" + s.Name
		}
	}
	return a.Name
}

func (e *engine) plugOut(ctx context.Context, r *record, a *attached, path string) error {
	result := a.Result
	a.Result = nil
	if err := e.store.put(r, false); err != nil {
		a.Result = result
		return err
	}
	err := e.detach(ctx, r, a, e.namespaceToUse(r, path))
	if err == nil || broken("plug-swallows-errors") {
		r.Networks = slices.DeleteFunc(slices.Clone(r.Networks), func(o *attached) bool { return o == a })
		err = e.store.put(r, true)
	}
	e.publish(r)
	return err
}
