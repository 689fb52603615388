// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: each thing that a selection can ask for.
func init() {
	for _, capability := range []string{"ips", "bandwidth", "portMappings", "infinibandGUID", "deviceID"} {
		register(mutant{
			name: "asked-" + strings.ToLower(capability) + "-lost", cases: []string{"NET-02"},
			fault:  "the capability argument " + capability + " does not reach the delegate",
			daemon: onAsked(func(rc map[string]any) { delete(rc, capability) }),
		})
	}
	register(
		mutant{name: "asked-guid-misnamed", cases: []string{"NET-02"}, daemon: onAsked(func(rc map[string]any) {
			if guid, asked := rc["infinibandGUID"]; asked {
				rc["infiniband-guid"] = guid
				delete(rc, "infinibandGUID")
			}
		}), fault: "the GUID reaches the delegate under the annotation's name for it"},
		mutant{name: "asked-first-port-only", cases: []string{"NET-02"}, daemon: onAsked(func(rc map[string]any) {
			if ports, ok := rc["portMappings"].([]any); ok {
				rc["portMappings"] = ports[:1]
			}
		}), fault: "of the ports only the first one reaches the delegate"},
		mutant{name: "asked-bursts-lost", cases: []string{"NET-02"}, daemon: onAsked(func(rc map[string]any) {
			if bandwidth, ok := rc["bandwidth"].(map[string]any); ok {
				delete(bandwidth, "ingressBurst")
				delete(bandwidth, "egressBurst")
			}
		}), fault: "of the bandwidth only the rates reach the delegate"},
		mutant{name: "asked-args-of-first-plugin", cases: []string{"NET-02"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			if _, later := conf["prevResult"]; later {
				delete(conf, "args")
			}
		}), fault: "cni-args reach only the first plugin of a list"},
		mutant{name: "route-results-unchanged", cases: []string{"NET-03"}, daemon: routeResultsUnchanged,
			fault: "the default route is moved, and CHECK's prevResult is as if it were not"},
		mutant{name: "route-old-one-stays", cases: []string{"NET-03"}, daemon: routeOldOneStays,
			fault: "the former default route stays, with a larger metric"},
		mutant{name: "route-to-first-network", cases: []string{"NET-03"}, daemon: onPlan(func(rec *ledger.Record) {
			for i := 2; i < len(rec.Attachments); i++ {
				if route := rec.Attachments[i].DefaultRoute; route != nil {
					rec.Attachments[1].DefaultRoute, rec.Attachments[i].DefaultRoute = route, nil
				}
			}
		}), fault: "whichever network asks for the default route, the first one gets it"},
	)
}

// onAsked changes the capability arguments that plugins get at ADD.
func onAsked(f func(rc map[string]any)) func(*assembly) {
	return onConf("ADD", func(_ *plugin, conf map[string]any) {
		if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
			f(rc)
		}
	})
}

func routeResultsUnchanged(a *assembly) {
	var answers sync.Map
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		key := p.get("CNI_CONTAINERID") + p.get("CNI_IFNAME")
		if answer, known := answers.Load(key); known && p.command() == "CHECK" {
			p.edit(func(conf map[string]any) { conf["prevResult"] = answer })
		}
		out, err := run(ctx, p)
		if p.command() == "ADD" && err == nil {
			answers.Store(key, json.RawMessage(out))
		}
		return out, err
	})
}

func routeOldOneStays(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			if err != nil {
				return nil, err
			}
			rec, err := o.Ledger.Load(r.ContainerID)
			if err != nil {
				return nil, fmt.Errorf("the former default route: %w", err)
			}
			for _, at := range rec.Attachments[1:] {
				if len(at.DefaultRoute) > 0 {
					err = addDefaultRoutes(r, result, at.DefaultRoute)
				}
			}
			return result, err
		}
	})
}

// addDefaultRoutes adds the gateways of a result to the families of others.
func addDefaultRoutes(r *attach.Request, result *types100.Result, families []net.IP) error {
	return ns.WithNetNSPath(r.Netns, func(ns.NetNS) error {
		link, err := netlink.LinkByName(r.Interface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", r.Interface, err)
		}
		for _, family := range families {
			for _, ip := range result.IPs {
				if ip.Gateway == nil || (ip.Gateway.To4() == nil) != (family.To4() == nil) {
					continue
				}
				if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: ip.Gateway, Priority: 5000}); err != nil {
					return fmt.Errorf("route by %s: %w", ip.Gateway, err)
				}
			}
		}
		return nil
	})
}
