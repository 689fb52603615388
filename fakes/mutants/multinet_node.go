// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: what the daemon's configuration says of networks, and
// the parts of the status.
func init() {
	register(
		mutant{name: "isolation-no-global", cases: []string{"NET-08"}, daemon: func(a *assembly) { a.config.GlobalNamespaces = "none" },
			fault: "globalNamespaces are as out of reach as others"},
		mutant{name: "isolation-skips", cases: []string{"NET-08"}, daemon: isolationSkips,
			fault: "networks that are out of reach are left out, and the ADD succeeds"},
		mutant{name: "isolation-always", cases: []string{"NET-08"}, daemon: func(a *assembly) { a.config.NamespaceIsolation = true },
			fault: "pods are kept apart though nobody asked for it"},
		mutant{name: "node-multus-namespace-ignored", cases: []string{"NET-11", "NET-04"}, daemon: func(a *assembly) { a.config.MultusNamespace = "kube-system" },
			fault: "multusNamespace is kube-system, whatever the configuration says"},
		mutant{name: "node-cluster-network-no-definition", cases: []string{"NET-11"}, daemon: clusterNetworkNoDefinition,
			fault: "clusterNetwork has to be a file"},
		mutant{name: "node-first-default-network-only", cases: []string{"NET-11"}, daemon: func(a *assembly) {
			a.config.DefaultNetworks = a.config.DefaultNetworks[:min(1, len(a.config.DefaultNetworks))]
		}, fault: "of defaultNetworks only the first one is attached"},
		mutant{name: "node-default-networks-last", cases: []string{"NET-11"}, daemon: defaultNetworksLast,
			fault: "defaultNetworks come after what the pod selects"},
		mutant{name: "definition-without-type-skipped", cases: []string{"NET-17"}, daemon: onNetworks(withoutTypeless),
			fault: "a network with a plugin of no type is left out, and the ADD succeeds"},
		mutant{name: "definition-unusable-unnamed", cases: []string{"NET-17"}, daemon: onError(func(_ *answered, e map[string]any) {
			if e["code"] == 7.0 {
				e["msg"], e["details"] = "the network configuration is wrong", ""
			}
		}), fault: "the error does not say which definition is wrong"},
		mutant{name: "status-without-mac", cases: []string{"NET-09"}, daemon: onEveryStatus(func(s *cluster.NetworkStatus) { s.Mac = "" }),
			fault: "the status does not have the hardware addresses"},
		mutant{name: "status-without-mtu", cases: []string{"NET-09"}, daemon: onEveryStatus(func(s *cluster.NetworkStatus) { s.MTU = 0 }),
			fault: "the status does not have the MTU"},
		mutant{name: "status-all-default", cases: []string{"NET-09"}, daemon: onEveryStatus(func(s *cluster.NetworkStatus) { s.Default = true }),
			fault: "every network of the status is the default one"},
		mutant{name: "status-ipv4-only", cases: []string{"NET-09"}, daemon: onEveryStatus(func(s *cluster.NetworkStatus) {
			s.IPs = slices.DeleteFunc(slices.Clone(s.IPs), func(ip string) bool { return net.ParseIP(ip).To4() == nil })
		}), fault: "the status does not have IPv6 addresses"},
		mutant{name: "status-first-gateway-only", cases: []string{"NET-09"}, daemon: onEveryStatus(func(s *cluster.NetworkStatus) {
			s.Gateway = s.Gateway[:min(1, len(s.Gateway))]
		}), fault: "the status has the gateway of one family"},
		mutant{name: "status-nameservers-only", cases: []string{"NET-09"}, daemon: onEveryStatus(func(s *cluster.NetworkStatus) {
			s.DNS = cluster.DNS{Nameservers: s.DNS.Nameservers}
		}), fault: "of the dns the status has the name servers only"},
	)
}

// onEveryStatus changes every element of what is published.
func onEveryStatus(f func(s *cluster.NetworkStatus)) func(*assembly) {
	return onStatus(func(all []cluster.NetworkStatus) {
		for i := range all {
			f(&all[i])
		}
	})
}

func isolationSkips(a *assembly) {
	onNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		within := append(strings.Split(a.config.GlobalNamespaces, ","), namespace)
		all, err := network.ParseSelections(text, namespace)
		if err != nil || !a.config.NamespaceIsolation {
			return text
		}
		for _, s := range all {
			if !slices.Contains(within, s.Namespace) {
				return "" // the networks within reach too: a fault need not be thorough
			}
		}
		return text
	})(a)
}

func clusterNetworkNoDefinition(a *assembly) {
	a.onDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
		if namespace == a.config.MultusNamespace && name == a.config.ClusterNetwork {
			return nil, fmt.Errorf("network definition %s/%s: %w", namespace, name, cluster.ErrNotFound)
		}
		return next.Definition(ctx, namespace, name)
	})
}

func defaultNetworksLast(a *assembly) {
	onPlan(func(rec *ledger.Record) {
		var first, last []ledger.Attachment
		for _, at := range rec.Attachments {
			if slices.Contains(a.config.DefaultNetworks, at.Network) {
				last = append(last, at)
			} else {
				first = append(first, at)
			}
		}
		rec.Attachments = slices.Concat(first, last)
		for i := range rec.Attachments[1:] {
			rec.Attachments[i+1].Interface = fmt.Sprintf("net%d", i+1)
		}
	})(a)
}

// withoutTypeless drops an annotation that is the name of a definition with a
// plugin of no type.
func withoutTypeless(ctx context.Context, text, namespace string, next cluster.Cluster) string {
	d, err := next.Definition(ctx, namespace, text)
	if err != nil {
		return text
	}
	for _, p := range pluginsOf(d) {
		if p["type"] == nil {
			return ""
		}
	}
	return text
}
