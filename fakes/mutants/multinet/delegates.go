// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: what reaches the delegates, the node's own networks,
// and the network status.
var delegatesMutants = []mutant.Mutant{
	{Name: "asked-mac-lost", Cases: []string{"NET-02"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
			delete(rc, "mac")
		}
	}), Fault: "the address that a selection asks for does not reach the delegate"},
	{Name: "asked-without-capability", Cases: []string{"NET-02"}, Daemon: askedWithoutCapability,
		Fault: "plugins that do not declare a capability get it too"},
	{Name: "asked-args-lost", Cases: []string{"NET-02"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) { delete(conf, "args") }),
		Fault: "cni-args do not reach the delegate"},
	{Name: "asked-args-replace", Cases: []string{"NET-02"}, Daemon: seam.OnConf("ADD", func(_ *seam.Plugin, conf map[string]any) {
		if args, ok := conf["args"].(map[string]any); ok {
			conf["args"] = map[string]any{"cni": args["cni"]}
		}
	}), Fault: "cni-args take the place of all of the definition's own args"},
	{Name: "asked-of-default-too", Cases: []string{"NET-02"}, Daemon: seam.OnPlan(func(rec *ledger.Record) {
		if len(rec.Attachments) > 1 {
			rec.Attachments[0].CapabilityArgs = rec.Attachments[1].CapabilityArgs
		}
	}), Fault: "what is asked of a further network is asked of the default network too"},
	{Name: "route-not-moved", Cases: []string{"NET-03"}, Daemon: seam.OnPlan(onRoutes(func(net.IP) bool { return false })),
		Fault: "default-route is ignored"},
	{Name: "route-ipv4-only", Cases: []string{"NET-03"}, Daemon: seam.OnPlan(onRoutes(func(ip net.IP) bool { return ip.To4() != nil })),
		Fault: "default-route moves IPv4 only"},
	{Name: "route-ipv6-only", Cases: []string{"NET-03"}, Daemon: seam.OnPlan(onRoutes(func(ip net.IP) bool { return ip.To4() == nil })),
		Fault: "default-route moves IPv6 only"},
	{Name: "node-default-networks-ignored", Cases: []string{"NET-11"}, Daemon: func(a *seam.Assembly) { a.Config.DefaultNetworks = nil },
		Fault: "defaultNetworks are not attached"},
	{Name: "node-system-namespaces-ignored", Cases: []string{"NET-11"}, Daemon: func(a *seam.Assembly) { a.Config.SystemNamespaces = []string{} },
		Fault: "pods of system namespaces get defaultNetworks too"},
	{Name: "node-system-by-definition", Cases: []string{"NET-11"}, Daemon: systemByDefinition,
		Fault: "the namespace of a definition decides on defaultNetworks, not the pod's"},
	{Name: "node-last-of-directory", Cases: []string{"NET-11"}, Daemon: lastOfDirectory,
		Fault: "of a directory the last file is the cluster's network"},
	{Name: "status-no-default", Cases: []string{"NET-09", "NET-04"}, Daemon: onStatus(func(all []cluster.NetworkStatus) { all[0].Default = false }),
		Fault: "the status does not say which network is the default one"},
	{Name: "status-in-order-of-names", Cases: []string{"NET-09"}, Daemon: onStatus(func(all []cluster.NetworkStatus) {
		slices.SortStableFunc(all, func(a, b cluster.NetworkStatus) int { return strings.Compare(a.Interface, b.Interface) })
	}), Fault: "the status is in the order of the interfaces' names"},
	{Name: "status-prefix-lengths", Cases: []string{"NET-09"}, Daemon: onStatus(func(all []cluster.NetworkStatus) {
		for i := range all {
			for n := range all[i].IPs {
				all[i].IPs[n] += "/24"
			}
		}
	}), Fault: "addresses in the status have a prefix length"},
	{Name: "status-first-address-only", Cases: []string{"NET-09"}, Daemon: onStatus(func(all []cluster.NetworkStatus) {
		for i := range all {
			all[i].IPs = all[i].IPs[:min(1, len(all[i].IPs))]
		}
	}), Fault: "the status has the first address only"},
	{Name: "status-without-gateway", Cases: []string{"NET-09"}, Daemon: onStatus(func(all []cluster.NetworkStatus) { all[0].Gateway = nil }),
		Fault: "the status does not have the gateway"},
	{Name: "status-dns-for-all", Cases: []string{"NET-09"}, Daemon: onStatus(func(all []cluster.NetworkStatus) {
		for i := range all {
			all[i].DNS = all[0].DNS
		}
	}), Fault: "every network's element has the default network's dns"},
	{Name: "status-without-namespace", Cases: []string{"NET-09", "NET-05"}, Daemon: onStatus(func(all []cluster.NetworkStatus) {
		for i := range all {
			_, name, found := strings.Cut(all[i].Name, "/")
			if found {
				all[i].Name = name
			}
		}
	}), Fault: "the status names definitions without their namespace"},
}

// askedWithoutCapability gives the plugins of a list what the first of them got.
func askedWithoutCapability(a *seam.Assembly) {
	var asked sync.Map
	seam.OnConf("ADD", func(p *seam.Plugin, conf map[string]any) {
		key := p.Get("CNI_CONTAINERID") + p.Get("CNI_IFNAME")
		if rc, ok := conf["runtimeConfig"]; ok {
			if first, loaded := asked.LoadOrStore(key, rc); loaded {
				conf["runtimeConfig"] = first
			}
		} else if first, ok := asked.Load(key); ok {
			conf["runtimeConfig"] = first
		}
	})(a)
}

// onRoutes keeps some of the gateways that default-route asks for.
func onRoutes(keep func(ip net.IP) bool) func(rec *ledger.Record) {
	return func(rec *ledger.Record) {
		for i := range rec.Attachments {
			at := &rec.Attachments[i]
			if at.DefaultRoute == nil {
				continue
			}
			at.DefaultRoute = slices.DeleteFunc(slices.Clone(at.DefaultRoute), func(ip net.IP) bool { return !keep(ip) })
			if len(at.DefaultRoute) == 0 {
				at.DefaultRoute = nil // an empty list would ask for whatever the delegate answers
			}
		}
	}
}

func systemByDefinition(a *seam.Assembly) {
	seam.OnPlan(func(rec *ledger.Record) {
		inner := slices.ContainsFunc(rec.Attachments, func(at ledger.Attachment) bool {
			namespace, _, _ := strings.Cut(at.Definition, "/")
			return slices.Contains(a.Config.SystemNamespaces, namespace)
		})
		if !inner {
			return
		}
		rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool {
			return slices.Contains(a.Config.DefaultNetworks, at.Network)
		})
	})(a)
}

func lastOfDirectory(a *seam.Assembly) {
	files, _ := filepath.Glob(filepath.Join(a.Config.ClusterNetwork, "*.conflist")) // only a malformed pattern is an error
	if info, err := os.Stat(a.Config.ClusterNetwork); err == nil && info.IsDir() && len(files) > 0 {
		a.Config.ClusterNetwork = files[len(files)-1]
	}
}

// told is a cluster that publishes another status.
type told struct {
	*seam.Lookups
	change func(all []cluster.NetworkStatus)
}

// PublishStatus implements cluster.Cluster.
func (t *told) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	if len(status) > 0 {
		t.change(status)
	}
	return t.Cluster.PublishStatus(ctx, pod, status)
}

// onStatus changes what is published.
func onStatus(f func(all []cluster.NetworkStatus)) func(*seam.Assembly) {
	return func(a *seam.Assembly) { a.Cluster = &told{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}, f} }
}
