// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: the interfaces of the network status.
var interfacesMutants = []mutant.Mutant{
	{Name: "status-interfaces-merged", Cases: []string{"NET-20", "NET-21"}, Daemon: onStatusList(mergedInterfaces),
		Fault: "a result's several interfaces are one element with the addresses of all"},
	{Name: "status-interface-as-asked", Cases: []string{"NET-20"}, Daemon: onStatusList(interfacesAsAsked),
		Fault: "an element names the interface that was asked for, whatever the delegate made"},
	{Name: "status-mac-of-first", Cases: []string{"NET-20"}, Daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) { s.Mac = first.Mac })),
		Fault: "the second interface of a result is shown with the first one's mac"},
	{Name: "status-mtu-of-first", Cases: []string{"NET-20"}, Daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) { s.MTU = first.MTU })),
		Fault: "the second interface of a result is shown with the first one's MTU"},
	{Name: "status-defaults-of-one-network", Cases: []string{"NET-20", "NET-21"}, Daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) {
		s.Default = s.Default || first.Default
		first.Default = s.Default
	})), Fault: "all interfaces of the default network are default"},
	{Name: "status-last-first", Cases: []string{"NET-20", "NET-21"}, Daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		if len(all) > 1 && all[1].Name == all[0].Name {
			all[0], all[1] = all[1], all[0]
		}
		return all
	}), Fault: "the interfaces of a result are in another order than the result's"},
	{Name: "status-default-is-first", Cases: []string{"NET-21"}, Daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) {
		first.Default, s.Default = first.Default || s.Default, false
	})), Fault: "the default network's first interface is default, although another one has the gateway"},
	{Name: "status-first-interface-only", Cases: []string{"NET-21"}, Daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		return slices.CompactFunc(all, func(a, b cluster.NetworkStatus) bool { return a.Name == b.Name })
	}), Fault: "of a result's several interfaces the status has the first one"},
	{Name: "status-old-result-bare", Cases: []string{"NET-21"}, Daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		for i := range all {
			if all[i].Mac == "" {
				all[i].IPs = nil
			}
		}
		return all
	}), Fault: "the addresses of a result without interfaces, as CNI before 0.3.0 had it, are not shown"},
	{Name: "route-of-first-interface", Cases: []string{"NET-03"}, Daemon: routeOfFirstInterface,
		Fault: "the default route is taken away from a network's first interface, and stays on its second one"},
	{Name: "status-interface-made-up", Cases: []string{"NET-22"}, Daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		for i := range all {
			if all[i].Interface == "" {
				all[i].Interface = fmt.Sprintf("net%d", i)
			}
		}
		return all
	}), Fault: "an attachment without an interface is shown with the one that was asked for"},
	{Name: "status-shows-the-chain", Cases: []string{"NET-22"}, Daemon: statusShowsTheChain,
		Fault: "the status has an element for the auxiliary chain"},
	{Name: "chain-takes-a-name", Cases: []string{"NET-22"}, Daemon: seam.OnPlan(func(rec *ledger.Record) {
		for i := range rec.Attachments {
			rec.Attachments[i].Auxiliary = false
		}
	}), Fault: "the auxiliary chain counts as an interface, which is in the way of a network to be plugged"},
}

// relisted is a cluster that publishes another list of elements.
type relisted struct {
	*seam.Lookups
	change func(all []cluster.NetworkStatus) []cluster.NetworkStatus
}

// PublishStatus implements cluster.Cluster.
func (r *relisted) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	return r.Cluster.PublishStatus(ctx, pod, r.change(slices.Clone(status)))
}

// onStatusList changes the list of elements that is published.
func onStatusList(f func(all []cluster.NetworkStatus) []cluster.NetworkStatus) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Cluster = &relisted{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}, f}
	}
}

// ofOneNetwork shows each element after a network's first one together with
// that first one.
func ofOneNetwork(f func(first, s *cluster.NetworkStatus)) func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
	return func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		first := 0
		for i := 1; i < len(all); i++ {
			if all[i].Name != all[first].Name {
				first = i
				continue
			}
			f(&all[first], &all[i])
		}
		return all
	}
}

func mergedInterfaces(all []cluster.NetworkStatus) []cluster.NetworkStatus {
	merged := ofOneNetwork(func(first, s *cluster.NetworkStatus) {
		first.IPs, first.Default = append(first.IPs, s.IPs...), first.Default || s.Default
	})(all)
	return slices.CompactFunc(merged, func(a, b cluster.NetworkStatus) bool { return a.Name == b.Name })
}

// interfacesAsAsked names the interfaces eth0, net1, … by the networks' order.
func interfacesAsAsked(all []cluster.NetworkStatus) []cluster.NetworkStatus {
	n := -1
	for i := range all {
		if i == 0 || all[i].Name != all[i-1].Name {
			n++
			all[i].Interface = fmt.Sprintf("net%d", n)
		}
	}
	if len(all) > 0 {
		all[0].Interface = "eth0"
	}
	return all
}

// statusShowsTheChain adds an element for the chain, as the daemon once did.
func statusShowsTheChain(a *seam.Assembly) {
	onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		if a.Config.AuxiliaryCNIChainName == "" {
			return all
		}
		return append(all, cluster.NetworkStatus{Name: a.Config.AuxiliaryCNIChainName, Interface: fmt.Sprintf("net%d", len(all))})
	})(a)
}

// routeOfFirstInterface hides the second interface of results that begin with
// two in the sandbox.
func routeOfFirstInterface(a *seam.Assembly) {
	inside := func(i any) bool {
		fields, _ := i.(map[string]any)
		return fields["sandbox"] != nil
	}
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		var result map[string]any
		if err != nil || p.Command() != "ADD" || json.Unmarshal(out, &result) != nil {
			return out, err
		}
		all, _ := result["interfaces"].([]any)
		if len(all) != 2 || !inside(all[0]) || !inside(all[1]) {
			return out, nil
		}
		addresses, _ := result["ips"].([]any)
		result["interfaces"], result["ips"] = all[:1], addresses[:min(1, len(addresses))]
		return json.Marshal(result)
	})
}
