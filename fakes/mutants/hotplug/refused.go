// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/plugins/pkg/ns"
	"github.com/vishvananda/netlink"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile hotplug: the parts of a request, and what is made of a refusal.
var refusedMutants = []mutant.Mutant{
	{Name: "hot-ips-lost", Cases: []string{"HOT-01"}, Daemon: onWishes(func(sel *network.Selection) { sel.IPRequest = nil }),
		Fault: "of interfaceAttributes the addresses are forgotten"},
	{Name: "hot-second-address-lost", Cases: []string{"HOT-01"}, Daemon: onWishes(func(sel *network.Selection) {
		sel.IPRequest = sel.IPRequest[:min(1, len(sel.IPRequest))]
	}), Fault: "of the addresses in interfaceAttributes only the first one is asked for"},
	{Name: "hot-cni-args-lost", Cases: []string{"HOT-01"}, Daemon: onWishes(func(sel *network.Selection) { sel.CNIArgs = nil }),
		Fault: "of interfaceAttributes the cni-args are forgotten"},
	{Name: "hot-cni-args-flat", Cases: []string{"HOT-01"}, Daemon: onWishes(func(sel *network.Selection) {
		sel.CNIArgs = maps.Clone(sel.CNIArgs)
		maps.DeleteFunc(sel.CNIArgs, func(_ string, v any) bool { _, text := v.(string); return !text })
	}), Fault: "of the cni-args only texts reach the delegate"},
	{Name: "hot-lists-only", Cases: []string{"HOT-01"}, Daemon: onHotAdd(hotListsOnly),
		Fault: "a hot-plugged configuration has to be a list"},
	{Name: "hot-pod-not-in-args", Cases: []string{"HOT-01"}, Daemon: seam.OnVariables("ADD", func(p *seam.Plugin) {
		if hotInterface(p) {
			p.Set("CNI_ARGS", "IgnoreUnknown=1")
		}
	}), Fault: "a hot-plugged delegate is not told the pod"},
	{Name: "hot-kernel-name-taken-over", Cases: []string{"HOT-05"}, Daemon: onHotAdd(hotTakesOver),
		Fault: "an interface that nobody has attached gives way to a hot-plug"},
	{Name: "hot-netns-of-record", Cases: []string{"HOT-05"}, Daemon: onHotAdd(hotNetnsOfRecord),
		Fault: "the namespace that a hot-plug names is ignored for that of the sandbox's ADD"},
	{Name: "hot-id-by-pod", Cases: []string{"HOT-05"}, Daemon: onHotAdd(hotIDByPod),
		Fault: "a hot-plug with the ID of no sandbox goes to the pod's"},
	{Name: "hot-del-unknown-fails", Cases: []string{"HOT-02"}, Daemon: onHotDel(hotDelUnknownFails),
		Fault: "a hot-plug DEL of what is gone fails"},
	{Name: "hot-del-without-prev-result", Cases: []string{"HOT-02"}, Daemon: seam.OnConf("DEL", func(p *seam.Plugin, conf map[string]any) {
		if hotInterface(p) {
			delete(conf, "prevResult")
		}
	}), Fault: "a hot-plug DEL does not tell the delegate its result"},
	{Name: "hot-del-record-only", Cases: []string{"HOT-02"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool {
		return p.CommandOfRequest() == "DEL" && hotInterface(p)
	}), Fault: "a hot-plug DEL forgets the attachment and asks no delegate"},
	{Name: "hot-check-without-prev-result", Cases: []string{"HOT-03"}, Daemon: seam.OnConf("CHECK", func(p *seam.Plugin, conf map[string]any) {
		if hotInterface(p) {
			delete(conf, "prevResult")
		}
	}), Fault: "CHECK on /delegate does not tell the delegate its result"},
	{Name: "hot-check-code-lost", Cases: []string{"HOT-03"}, Daemon: onHotCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine) error {
		if err := next.HotCheck(ctx, r); err != nil {
			return types.NewError(types.ErrInternal, err.Error(), "")
		}
		return nil
	}), Fault: "CHECK on /delegate answers a code of its own"},
	{Name: "hot-failure-kept", Cases: []string{"HOT-08"}, Daemon: onHotAdd(hotFailureKept),
		Fault: "a hot-plug that fails stays in the sandbox's record"},
	{Name: "hot-status-kept", Cases: []string{"HOT-07"}, Daemon: hotStatusKept,
		Fault: "what is unplugged stays in the status"},
	{Name: "hot-status-pods-namespace", Cases: []string{"HOT-07"}, Daemon: seam.OnNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
		return seam.NamedNamespace.ReplaceAllString(text, "")
	}), Fault: "the status has every hot-plugged attachment in the pod's own namespace"},
}

// onWishes changes what a hot-plug asks for.
func onWishes(f func(sel *network.Selection)) func(*seam.Assembly) {
	return onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
		if sel != nil {
			f(sel)
		}
		return next.HotAdd(ctx, r, sel)
	})
}

func hotListsOnly(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
	if seam.PluginsOf(&cluster.Definition{Config: string(r.Config)}) == nil {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, "the configuration has no plugins", "")
	}
	return next.HotAdd(ctx, r, sel)
}

func hotTakesOver(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
	if rec, err := o.Ledger.Load(r.ContainerID); err == nil && rec.Find(r.Interface) < 0 {
		err := ns.WithNetNSPath(r.Netns, func(ns.NetNS) error {
			link, err := netlink.LinkByName(r.Interface)
			if err != nil {
				return nil //nolint:nilerr // the name is free
			}
			return netlink.LinkDel(link)
		})
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", r.Interface, err)
		}
	}
	return next.HotAdd(ctx, r, sel)
}

func hotNetnsOfRecord(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
	if rec, err := o.Ledger.Load(r.ContainerID); err == nil {
		changed := *r
		changed.Netns = rec.Netns
		r = &changed
	}
	return next.HotAdd(ctx, r, sel)
}

func hotIDByPod(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
	if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
		for _, rec := range seam.RecordsOf(o.Ledger) {
			if rec.Pod == r.Pod {
				changed := *r
				changed.ContainerID = rec.ContainerID
				r = &changed
			}
		}
	}
	return next.HotAdd(ctx, r, sel)
}

func hotDelUnknownFails(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
	if rec, err := o.Ledger.Load(r.ContainerID); err == nil && rec.Find(r.Interface) < 0 {
		return types.NewError(types.ErrUnknownContainer, fmt.Sprintf("there is no attachment %s", r.Interface), "")
	}
	return next.HotDel(ctx, r)
}

func hotFailureKept(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, o attach.Options) (*types100.Result, error) {
	result, err := next.HotAdd(ctx, r, sel)
	rec, loadErr := o.Ledger.Load(r.ContainerID)
	if err == nil || loadErr != nil || rec.Find(r.Interface) >= 0 {
		return result, err
	}
	d, planErr := network.NewDelegate(r.Config, r.Interface, sel)
	if planErr != nil {
		return result, err
	}
	failed := rec.Attachments[len(rec.Attachments)-1]
	failed.Network, failed.Interface, failed.Config, failed.HotPlugged = d.Network, r.Interface, string(d.Config), true
	rec.Attachments = append(slices.Clip(rec.Attachments), failed)
	return result, errors.Join(err, o.Ledger.Save(rec))
}

// growing is a cluster that publishes no status that is shorter than the last.
type growing struct {
	*seam.Lookups
	published map[string][]cluster.NetworkStatus
}

// PublishStatus implements cluster.Cluster.
func (g *growing) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	if len(status) < len(g.published[pod.Name]) {
		return nil
	}
	g.published[pod.Name] = status
	return g.Cluster.PublishStatus(ctx, pod, status)
}

func hotStatusKept(a *seam.Assembly) {
	a.Cluster = &growing{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}, map[string][]cluster.NetworkStatus{}}
}
