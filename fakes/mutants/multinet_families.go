// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: what one network, or one family, does to another.
func init() {
	register(
		mutant{name: "asked-of-later-too", cases: []string{"NET-02"}, daemon: onPlan(func(rec *ledger.Record) {
			for i := 2; i < len(rec.Attachments); i++ {
				rec.Attachments[i].CapabilityArgs = rec.Attachments[1].CapabilityArgs
			}
		}), fault: "what is asked of the first network is asked of the later ones too"},
		mutant{name: "route-both-families-or-none", cases: []string{"NET-03"}, daemon: onPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments {
				if len(rec.Attachments[i].DefaultRoute) == 1 {
					rec.Attachments[i].DefaultRoute = nil
				}
			}
		}), fault: "default-route counts only with a gateway of each family"},
		mutant{name: "route-other-family-lost", cases: []string{"NET-03"}, daemon: routeOtherFamilyLost,
			fault: "who gives a network the default route of one family loses that of the other"},
		mutant{name: "isolation-own-name-refused", cases: []string{"NET-08"}, daemon: isolationOwnNameRefused,
			fault: "with namespaceIsolation a pod may not name its own namespace"},
		mutant{name: "node-any-file-of-directory", cases: []string{"NET-11"}, daemon: anyFileOfDirectory,
			fault: "of a directory the first file is the cluster's network, whatever its name ends in"},
		mutant{name: "status-without-first", cases: []string{"NET-09", "NET-04"}, daemon: func(a *assembly) {
			a.cluster = &furtherOnly{&lookups{a.cluster, a.cluster.Pod}}
		}, fault: "the status has the further networks only"},
	)
}

func routeOtherFamilyLost(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			if err != nil {
				return nil, err
			}
			rec, err := o.Ledger.Load(r.ContainerID)
			if err != nil {
				return nil, fmt.Errorf("default routes: %w", err)
			}
			for _, at := range rec.Attachments[1:] {
				if len(at.DefaultRoute) == 1 {
					err = dropDefaultRoutes(r)
				}
			}
			return result, err
		}
	})
}

// dropDefaultRoutes removes the default routes by the default network.
func dropDefaultRoutes(r *attach.Request) error {
	return ns.WithNetNSPath(r.Netns, func(ns.NetNS) error {
		link, err := netlink.LinkByName(r.Interface)
		if err != nil {
			return fmt.Errorf("interface %s: %w", r.Interface, err)
		}
		routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
		if err != nil {
			return fmt.Errorf("routes of %s: %w", r.Interface, err)
		}
		for i := range routes {
			if dst := routes[i].Dst; routes[i].Gw == nil || dst != nil && !dst.IP.IsUnspecified() {
				continue
			}
			if err := netlink.RouteDel(&routes[i]); err != nil {
				return fmt.Errorf("route %s: %w", routes[i], err)
			}
		}
		return nil
	})
}

func isolationOwnNameRefused(a *assembly) {
	onNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		if !a.config.NamespaceIsolation {
			return text
		}
		return strings.ReplaceAll(text, namespace+"/", "out-of-reach/")
	})(a)
}

func anyFileOfDirectory(a *assembly) {
	if files, err := os.ReadDir(a.config.ClusterNetwork); err == nil && len(files) > 0 {
		a.config.ClusterNetwork = filepath.Join(a.config.ClusterNetwork, files[0].Name())
	}
}

// furtherOnly is a cluster that publishes no default network.
type furtherOnly struct{ *lookups }

// PublishStatus implements cluster.Cluster.
func (f *furtherOnly) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	return f.Cluster.PublishStatus(ctx, pod, status[1:])
}
