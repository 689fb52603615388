// SPDX-License-Identifier: Apache-2.0

package multinet

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

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: each thing that a selection can ask for.
func requestsMutants() []mutant.Mutant {
	var lost []mutant.Mutant
	for _, capability := range []string{"ips", "bandwidth", "portMappings", "infinibandGUID", "deviceID"} {
		lost = append(lost, mutant.Mutant{
			Name: "asked-" + strings.ToLower(capability) + "-lost", Cases: []string{"NET-02"},
			Fault:  "the capability argument " + capability + " does not reach the delegate",
			Daemon: onAsked(func(rc map[string]any) { delete(rc, capability) }),
		})
	}
	return append(lost, []mutant.Mutant{
		{Name: "asked-guid-misnamed", Cases: []string{"NET-02"}, Daemon: onAsked(func(rc map[string]any) {
			if guid, asked := rc["infinibandGUID"]; asked {
				rc["infiniband-guid"] = guid
				delete(rc, "infinibandGUID")
			}
		}), Fault: "the GUID reaches the delegate under the annotation's name for it"},
		{Name: "asked-first-port-only", Cases: []string{"NET-02"}, Daemon: onAsked(func(rc map[string]any) {
			if ports, ok := rc["portMappings"].([]any); ok {
				rc["portMappings"] = ports[:1]
			}
		}), Fault: "of the ports only the first one reaches the delegate"},
		{Name: "asked-bursts-lost", Cases: []string{"NET-02"}, Daemon: onAsked(func(rc map[string]any) {
			if bandwidth, ok := rc["bandwidth"].(map[string]any); ok {
				delete(bandwidth, "ingressBurst")
				delete(bandwidth, "egressBurst")
			}
		}), Fault: "of the bandwidth only the rates reach the delegate"},
		{Name: "asked-args-of-first-plugin", Cases: []string{"NET-02"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
			if _, later := conf["prevResult"]; later {
				delete(conf, "args")
			}
		}), Fault: "cni-args reach only the first plugin of a list"},
		{Name: "route-results-unchanged", Cases: []string{"NET-03"}, Daemon: routeResultsUnchanged,
			Fault: "the default route is moved, and CHECK's prevResult is as if it were not"},
		{Name: "route-old-one-stays", Cases: []string{"NET-03"}, Daemon: routeOldOneStays,
			Fault: "the former default route stays, with a larger metric"},
		{Name: "route-to-first-network", Cases: []string{"NET-03"}, Daemon: seam.OnPlan(func(rec *ledger.Record) {
			for i := 2; i < len(rec.Attachments); i++ {
				if route := rec.Attachments[i].DefaultRoute; route != nil {
					rec.Attachments[1].DefaultRoute, rec.Attachments[i].DefaultRoute = route, nil
				}
			}
		}), Fault: "whichever network asks for the default route, the first one gets it"},
	}...)
}

// onAsked changes the capability arguments that plugins get at ADD.
func onAsked(f func(rc map[string]any)) func(*seam.Assembly) {
	return seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
			f(rc)
		}
	})
}

func routeResultsUnchanged(a *seam.Assembly) {
	var answers sync.Map
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		key := p.Get("CNI_CONTAINERID") + p.Get("CNI_IFNAME")
		if answer, known := answers.Load(key); known && p.Command() == "CHECK" {
			p.Edit(func(conf map[string]any) { conf["prevResult"] = answer })
		}
		out, err := run(ctx, p)
		if p.Command() == "ADD" && err == nil {
			answers.Store(key, json.RawMessage(out))
		}
		return out, err
	})
}

func routeOldOneStays(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
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
