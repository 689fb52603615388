// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: what reaches the delegates, the node's own networks,
// and the network status.
func init() {
	register(
		mutant{name: "asked-mac-lost", cases: []string{"NET-02"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			if rc, ok := conf["runtimeConfig"].(map[string]any); ok {
				delete(rc, "mac")
			}
		}), fault: "the address that a selection asks for does not reach the delegate"},
		mutant{name: "asked-without-capability", cases: []string{"NET-02"}, daemon: askedWithoutCapability,
			fault: "plugins that do not declare a capability get it too"},
		mutant{name: "asked-args-lost", cases: []string{"NET-02"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) { delete(conf, "args") }),
			fault: "cni-args do not reach the delegate"},
		mutant{name: "asked-args-replace", cases: []string{"NET-02"}, daemon: onConf("ADD", func(_ *plugin, conf map[string]any) {
			if args, ok := conf["args"].(map[string]any); ok {
				conf["args"] = map[string]any{"cni": args["cni"]}
			}
		}), fault: "cni-args take the place of all of the definition's own args"},
		mutant{name: "asked-of-default-too", cases: []string{"NET-02"}, daemon: onPlan(func(rec *ledger.Record) {
			if len(rec.Attachments) > 1 {
				rec.Attachments[0].CapabilityArgs = rec.Attachments[1].CapabilityArgs
			}
		}), fault: "what is asked of a further network is asked of the default network too"},
		mutant{name: "route-not-moved", cases: []string{"NET-03"}, daemon: onPlan(onRoutes(func(net.IP) bool { return false })),
			fault: "default-route is ignored"},
		mutant{name: "route-ipv4-only", cases: []string{"NET-03"}, daemon: onPlan(onRoutes(func(ip net.IP) bool { return ip.To4() != nil })),
			fault: "default-route moves IPv4 only"},
		mutant{name: "route-ipv6-only", cases: []string{"NET-03"}, daemon: onPlan(onRoutes(func(ip net.IP) bool { return ip.To4() == nil })),
			fault: "default-route moves IPv6 only"},
		mutant{name: "node-default-networks-ignored", cases: []string{"NET-11"}, daemon: func(a *assembly) { a.config.DefaultNetworks = nil },
			fault: "defaultNetworks are not attached"},
		mutant{name: "node-system-namespaces-ignored", cases: []string{"NET-11"}, daemon: func(a *assembly) { a.config.SystemNamespaces = []string{} },
			fault: "pods of system namespaces get defaultNetworks too"},
		mutant{name: "node-system-by-definition", cases: []string{"NET-11"}, daemon: systemByDefinition,
			fault: "the namespace of a definition decides on defaultNetworks, not the pod's"},
		mutant{name: "node-last-of-directory", cases: []string{"NET-11"}, daemon: lastOfDirectory,
			fault: "of a directory the last file is the cluster's network"},
		mutant{name: "status-no-default", cases: []string{"NET-09", "NET-04"}, daemon: onStatus(func(all []cluster.NetworkStatus) { all[0].Default = false }),
			fault: "the status does not say which network is the default one"},
		mutant{name: "status-in-order-of-names", cases: []string{"NET-09"}, daemon: onStatus(func(all []cluster.NetworkStatus) {
			slices.SortStableFunc(all, func(a, b cluster.NetworkStatus) int { return strings.Compare(a.Interface, b.Interface) })
		}), fault: "the status is in the order of the interfaces' names"},
		mutant{name: "status-prefix-lengths", cases: []string{"NET-09"}, daemon: onStatus(func(all []cluster.NetworkStatus) {
			for i := range all {
				for n := range all[i].IPs {
					all[i].IPs[n] += "/24"
				}
			}
		}), fault: "addresses in the status have a prefix length"},
		mutant{name: "status-first-address-only", cases: []string{"NET-09"}, daemon: onStatus(func(all []cluster.NetworkStatus) {
			for i := range all {
				all[i].IPs = all[i].IPs[:min(1, len(all[i].IPs))]
			}
		}), fault: "the status has the first address only"},
		mutant{name: "status-without-gateway", cases: []string{"NET-09"}, daemon: onStatus(func(all []cluster.NetworkStatus) { all[0].Gateway = nil }),
			fault: "the status does not have the gateway"},
		mutant{name: "status-dns-for-all", cases: []string{"NET-09"}, daemon: onStatus(func(all []cluster.NetworkStatus) {
			for i := range all {
				all[i].DNS = all[0].DNS
			}
		}), fault: "every network's element has the default network's dns"},
		mutant{name: "status-without-namespace", cases: []string{"NET-09", "NET-05"}, daemon: onStatus(func(all []cluster.NetworkStatus) {
			for i := range all {
				_, name, found := strings.Cut(all[i].Name, "/")
				if found {
					all[i].Name = name
				}
			}
		}), fault: "the status names definitions without their namespace"},
	)
}

// askedWithoutCapability gives the plugins of a list what the first of them got.
func askedWithoutCapability(a *assembly) {
	var asked sync.Map
	onConf("ADD", func(p *plugin, conf map[string]any) {
		key := p.get("CNI_CONTAINERID") + p.get("CNI_IFNAME")
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

func systemByDefinition(a *assembly) {
	onPlan(func(rec *ledger.Record) {
		inner := slices.ContainsFunc(rec.Attachments, func(at ledger.Attachment) bool {
			namespace, _, _ := strings.Cut(at.Definition, "/")
			return slices.Contains(a.config.SystemNamespaces, namespace)
		})
		if !inner {
			return
		}
		rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool {
			return slices.Contains(a.config.DefaultNetworks, at.Network)
		})
	})(a)
}

func lastOfDirectory(a *assembly) {
	files, _ := filepath.Glob(filepath.Join(a.config.ClusterNetwork, "*.conflist")) // only a malformed pattern is an error
	if info, err := os.Stat(a.config.ClusterNetwork); err == nil && info.IsDir() && len(files) > 0 {
		a.config.ClusterNetwork = files[len(files)-1]
	}
}

// told is a cluster that publishes another status.
type told struct {
	*lookups
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
func onStatus(f func(all []cluster.NetworkStatus)) func(*assembly) {
	return func(a *assembly) { a.cluster = &told{&lookups{a.cluster, a.cluster.Pod}, f} }
}
