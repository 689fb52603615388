// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: the interfaces of the network status.
func init() {
	register(
		mutant{name: "status-interfaces-merged", cases: []string{"NET-20", "NET-21"}, daemon: onStatusList(mergedInterfaces),
			fault: "a result's several interfaces are one element with the addresses of all"},
		mutant{name: "status-interface-as-asked", cases: []string{"NET-20"}, daemon: onStatusList(interfacesAsAsked),
			fault: "an element names the interface that was asked for, whatever the delegate made"},
		mutant{name: "status-mac-of-first", cases: []string{"NET-20"}, daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) { s.Mac = first.Mac })),
			fault: "the second interface of a result is shown with the first one's mac"},
		mutant{name: "status-mtu-of-first", cases: []string{"NET-20"}, daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) { s.MTU = first.MTU })),
			fault: "the second interface of a result is shown with the first one's MTU"},
		mutant{name: "status-defaults-of-one-network", cases: []string{"NET-20", "NET-21"}, daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) {
			s.Default = s.Default || first.Default
			first.Default = s.Default
		})), fault: "all interfaces of the default network are default"},
		mutant{name: "status-last-first", cases: []string{"NET-20", "NET-21"}, daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
			if len(all) > 1 && all[1].Name == all[0].Name {
				all[0], all[1] = all[1], all[0]
			}
			return all
		}), fault: "the interfaces of a result are in another order than the result's"},
		mutant{name: "status-default-is-first", cases: []string{"NET-21"}, daemon: onStatusList(ofOneNetwork(func(first, s *cluster.NetworkStatus) {
			first.Default, s.Default = first.Default || s.Default, false
		})), fault: "the default network's first interface is default, although another one has the gateway"},
		mutant{name: "status-first-interface-only", cases: []string{"NET-21"}, daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
			return slices.CompactFunc(all, func(a, b cluster.NetworkStatus) bool { return a.Name == b.Name })
		}), fault: "of a result's several interfaces the status has the first one"},
		mutant{name: "status-interface-made-up", cases: []string{"NET-22"}, daemon: onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
			for i := range all {
				if all[i].Interface == "" {
					all[i].Interface = fmt.Sprintf("net%d", i)
				}
			}
			return all
		}), fault: "an attachment without an interface is shown with the one that was asked for"},
		mutant{name: "status-shows-the-chain", cases: []string{"NET-22"}, daemon: statusShowsTheChain,
			fault: "the status has an element for the auxiliary chain"},
		mutant{name: "chain-takes-a-name", cases: []string{"NET-22"}, daemon: onPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments {
				rec.Attachments[i].Auxiliary = false
			}
		}), fault: "the auxiliary chain counts as an interface, which is in the way of a network to be plugged"},
	)
}

// relisted is a cluster that publishes another list of elements.
type relisted struct {
	*lookups
	change func(all []cluster.NetworkStatus) []cluster.NetworkStatus
}

// PublishStatus implements cluster.Cluster.
func (r *relisted) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	return r.Cluster.PublishStatus(ctx, pod, r.change(slices.Clone(status)))
}

// onStatusList changes the list of elements that is published.
func onStatusList(f func(all []cluster.NetworkStatus) []cluster.NetworkStatus) func(*assembly) {
	return func(a *assembly) { a.cluster = &relisted{&lookups{a.cluster, a.cluster.Pod}, f} }
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
func statusShowsTheChain(a *assembly) {
	onStatusList(func(all []cluster.NetworkStatus) []cluster.NetworkStatus {
		if a.config.AuxiliaryCNIChainName == "" {
			return all
		}
		return append(all, cluster.NetworkStatus{Name: a.config.AuxiliaryCNIChainName, Interface: fmt.Sprintf("net%d", len(all))})
	})(a)
}
