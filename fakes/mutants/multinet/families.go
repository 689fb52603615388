// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: what one network, or one family, does to another.
var familiesMutants = []mutant.Mutant{
	{Name: "asked-of-later-too", Cases: []string{"NET-02"}, Daemon: seam.OnPlan(func(rec *ledger.Record) {
		for i := 2; i < len(rec.Attachments); i++ {
			rec.Attachments[i].CapabilityArgs = rec.Attachments[1].CapabilityArgs
		}
	}), Fault: "what is asked of the first network is asked of the later ones too"},
	{Name: "route-both-families-or-none", Cases: []string{"NET-03"}, Daemon: seam.OnPlan(func(rec *ledger.Record) {
		for i := range rec.Attachments {
			if len(rec.Attachments[i].DefaultRoute) == 1 {
				rec.Attachments[i].DefaultRoute = nil
			}
		}
	}), Fault: "default-route counts only with a gateway of each family"},
	{Name: "route-other-family-lost", Cases: []string{"NET-03"}, Daemon: routeOtherFamilyLost,
		Fault: "who gives a network the default route of one family loses that of the other"},
	{Name: "isolation-own-name-refused", Cases: []string{"NET-08"}, Daemon: isolationOwnNameRefused,
		Fault: "with namespaceIsolation a pod may not name its own namespace"},
	{Name: "node-any-file-of-directory", Cases: []string{"NET-11"}, Unserved: true, Daemon: anyFileOfDirectory,
		Fault: "of a directory the first file is the cluster's network, whatever its name ends in"},
	{Name: "status-without-first", Cases: []string{"NET-09", "NET-04"}, Daemon: func(a *seam.Assembly) {
		a.Cluster = &furtherOnly{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}}
	}, Fault: "the status has the further networks only"},
}

func routeOtherFamilyLost(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
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

func isolationOwnNameRefused(a *seam.Assembly) {
	seam.OnNetworks(func(_ context.Context, text, namespace string, _ cluster.Cluster) string {
		if !a.Config.NamespaceIsolation {
			return text
		}
		return strings.ReplaceAll(text, namespace+"/", "out-of-reach/")
	})(a)
}

func anyFileOfDirectory(a *seam.Assembly) {
	if files, err := os.ReadDir(a.Config.ClusterNetwork); err == nil && len(files) > 0 {
		a.Config.ClusterNetwork = filepath.Join(a.Config.ClusterNetwork, files[0].Name())
	}
}

// furtherOnly is a cluster that publishes no default network.
type furtherOnly struct{ *seam.Lookups }

// PublishStatus implements cluster.Cluster.
func (f *furtherOnly) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	return f.Cluster.PublishStatus(ctx, pod, status[1:])
}
