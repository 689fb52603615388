// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile multinet: what the daemon's configuration says of networks, and
// the parts of the status.
var nodeMutants = []mutant.Mutant{
	{Name: "isolation-no-global", Cases: []string{"NET-08"}, Daemon: func(a *seam.Assembly) { a.Config.GlobalNamespaces = "none" },
		Fault: "globalNamespaces are as out of reach as others"},
	{Name: "isolation-skips", Cases: []string{"NET-08"}, Daemon: isolationSkips,
		Fault: "networks that are out of reach are left out, and the ADD succeeds"},
	{Name: "isolation-always", Cases: []string{"NET-08"}, Daemon: func(a *seam.Assembly) { a.Config.NamespaceIsolation = true },
		Fault: "pods are kept apart though nobody asked for it"},
	{Name: "node-multus-namespace-ignored", Cases: []string{"NET-11", "NET-04"}, Unserved: true, Daemon: func(a *seam.Assembly) { a.Config.MultusNamespace = "kube-system" },
		Fault: "multusNamespace is kube-system, whatever the configuration says"},
	{Name: "node-cluster-network-no-definition", Cases: []string{"NET-11"}, Unserved: true, Daemon: clusterNetworkNoDefinition,
		Fault: "clusterNetwork has to be a file"},
	{Name: "node-first-default-network-only", Cases: []string{"NET-11"}, Daemon: func(a *seam.Assembly) {
		a.Config.DefaultNetworks = a.Config.DefaultNetworks[:min(1, len(a.Config.DefaultNetworks))]
	}, Fault: "of defaultNetworks only the first one is attached"},
	{Name: "node-default-networks-last", Cases: []string{"NET-11"}, Daemon: defaultNetworksLast,
		Fault: "defaultNetworks come after what the pod selects"},
	{Name: "definition-without-type-skipped", Cases: []string{"NET-17"}, Daemon: seam.OnNetworks(withoutTypeless),
		Fault: "a network with a plugin of no type is left out, and the ADD succeeds"},
	{Name: "definition-unusable-unnamed", Cases: []string{"NET-17"}, Daemon: seam.OnError(func(_ *seam.Answered, e map[string]any) {
		if e["code"] == 7.0 {
			e["msg"], e["details"] = "the network configuration is wrong", ""
		}
	}), Fault: "the error does not say which definition is wrong"},
	{Name: "status-without-mac", Cases: []string{"NET-09"}, Daemon: onEveryStatus(func(s *cluster.NetworkStatus) { s.Mac = "" }),
		Fault: "the status does not have the hardware addresses"},
	{Name: "status-without-mtu", Cases: []string{"NET-09"}, Daemon: onEveryStatus(func(s *cluster.NetworkStatus) { s.MTU = 0 }),
		Fault: "the status does not have the MTU"},
	{Name: "status-all-default", Cases: []string{"NET-09"}, Daemon: onEveryStatus(func(s *cluster.NetworkStatus) { s.Default = true }),
		Fault: "every network of the status is the default one"},
	{Name: "status-ipv4-only", Cases: []string{"NET-09"}, Daemon: onEveryStatus(func(s *cluster.NetworkStatus) {
		s.IPs = slices.DeleteFunc(slices.Clone(s.IPs), func(ip string) bool { return net.ParseIP(ip).To4() == nil })
	}), Fault: "the status does not have IPv6 addresses"},
	{Name: "status-first-gateway-only", Cases: []string{"NET-09"}, Daemon: onEveryStatus(func(s *cluster.NetworkStatus) {
		s.Gateway = s.Gateway[:min(1, len(s.Gateway))]
	}), Fault: "the status has the gateway of one family"},
	{Name: "status-nameservers-only", Cases: []string{"NET-09"}, Daemon: onEveryStatus(func(s *cluster.NetworkStatus) {
		s.DNS = cluster.DNS{Nameservers: s.DNS.Nameservers}
	}), Fault: "of the dns the status has the name servers only"},
}

// onEveryStatus changes every element of what is published.
func onEveryStatus(f func(s *cluster.NetworkStatus)) func(*seam.Assembly) {
	return onStatus(func(all []cluster.NetworkStatus) {
		for i := range all {
			f(&all[i])
		}
	})
}

func isolationSkips(a *seam.Assembly) {
	seam.OnNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		within := append(strings.Split(a.Config.GlobalNamespaces, ","), namespace)
		all, err := network.ParseSelections(text, namespace)
		if err != nil || !a.Config.NamespaceIsolation {
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

func clusterNetworkNoDefinition(a *seam.Assembly) {
	a.OnDefinitionLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error) {
		if namespace == a.Config.MultusNamespace && name == a.Config.ClusterNetwork {
			return nil, fmt.Errorf("network definition %s/%s: %w", namespace, name, cluster.ErrNotFound)
		}
		return next.Definition(ctx, namespace, name)
	})
}

func defaultNetworksLast(a *seam.Assembly) {
	seam.OnPlan(func(rec *ledger.Record) {
		var first, last []ledger.Attachment
		for _, at := range rec.Attachments {
			if slices.Contains(a.Config.DefaultNetworks, at.Network) {
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
	for _, p := range seam.PluginsOf(d) {
		if p["type"] == nil {
			return ""
		}
	}
	return text
}
