// SPDX-License-Identifier: Apache-2.0

package main

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

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile hotplug: the parts of a request, and what is made of a refusal.
func init() {
	register(
		mutant{name: "hot-ips-lost", cases: []string{"HOT-01"}, daemon: onWishes(func(sel *network.Selection) { sel.IPRequest = nil }),
			fault: "of interfaceAttributes the addresses are forgotten"},
		mutant{name: "hot-second-address-lost", cases: []string{"HOT-01"}, daemon: onWishes(func(sel *network.Selection) {
			sel.IPRequest = sel.IPRequest[:min(1, len(sel.IPRequest))]
		}), fault: "of the addresses in interfaceAttributes only the first one is asked for"},
		mutant{name: "hot-cni-args-lost", cases: []string{"HOT-01"}, daemon: onWishes(func(sel *network.Selection) { sel.CNIArgs = nil }),
			fault: "of interfaceAttributes the cni-args are forgotten"},
		mutant{name: "hot-cni-args-flat", cases: []string{"HOT-01"}, daemon: onWishes(func(sel *network.Selection) {
			sel.CNIArgs = maps.Clone(sel.CNIArgs)
			maps.DeleteFunc(sel.CNIArgs, func(_ string, v any) bool { _, text := v.(string); return !text })
		}), fault: "of the cni-args only texts reach the delegate"},
		mutant{name: "hot-lists-only", cases: []string{"HOT-01"}, daemon: onHotAdd(hotListsOnly),
			fault: "a hot-plugged configuration has to be a list"},
		mutant{name: "hot-pod-not-in-args", cases: []string{"HOT-01"}, daemon: onVariables("ADD", func(p *plugin) {
			if hotInterface(p) {
				p.set("CNI_ARGS", "IgnoreUnknown=1")
			}
		}), fault: "a hot-plugged delegate is not told the pod"},
		mutant{name: "hot-kernel-name-taken-over", cases: []string{"HOT-05"}, daemon: onHotAdd(hotTakesOver),
			fault: "an interface that nobody has attached gives way to a hot-plug"},
		mutant{name: "hot-netns-of-record", cases: []string{"HOT-05"}, daemon: onHotAdd(hotNetnsOfRecord),
			fault: "the namespace that a hot-plug names is ignored for that of the sandbox's ADD"},
		mutant{name: "hot-id-by-pod", cases: []string{"HOT-05"}, daemon: onHotAdd(hotIDByPod),
			fault: "a hot-plug with the ID of no sandbox goes to the pod's"},
		mutant{name: "hot-del-unknown-fails", cases: []string{"HOT-02"}, daemon: onHotDel(hotDelUnknownFails),
			fault: "a hot-plug DEL of what is gone fails"},
		mutant{name: "hot-del-without-prev-result", cases: []string{"HOT-02"}, daemon: onConf("DEL", func(p *plugin, conf map[string]any) {
			if hotInterface(p) {
				delete(conf, "prevResult")
			}
		}), fault: "a hot-plug DEL does not tell the delegate its result"},
		mutant{name: "hot-del-record-only", cases: []string{"HOT-02"}, daemon: swallowed(func(p *plugin) bool {
			return p.commandOfRequest() == "DEL" && hotInterface(p)
		}), fault: "a hot-plug DEL forgets the attachment and asks no delegate"},
		mutant{name: "hot-check-without-prev-result", cases: []string{"HOT-03"}, daemon: onConf("CHECK", func(p *plugin, conf map[string]any) {
			if hotInterface(p) {
				delete(conf, "prevResult")
			}
		}), fault: "CHECK on /delegate does not tell the delegate its result"},
		mutant{name: "hot-check-code-lost", cases: []string{"HOT-03"}, daemon: onHotCheck(func(ctx context.Context, r *attach.Request, next daemon.Engine) error {
			if err := next.HotCheck(ctx, r); err != nil {
				return types.NewError(types.ErrInternal, err.Error(), "")
			}
			return nil
		}), fault: "CHECK on /delegate answers a code of its own"},
		mutant{name: "hot-failure-kept", cases: []string{"HOT-08"}, daemon: onHotAdd(hotFailureKept),
			fault: "a hot-plug that fails stays in the sandbox's record"},
		mutant{name: "hot-status-kept", cases: []string{"HOT-07"}, daemon: hotStatusKept,
			fault: "what is unplugged stays in the status"},
		mutant{name: "hot-status-pods-namespace", cases: []string{"HOT-07"}, daemon: onNetworks(func(_ context.Context, text, _ string, _ cluster.Cluster) string {
			return namedNamespace.ReplaceAllString(text, "")
		}), fault: "the status has every hot-plugged attachment in the pod's own namespace"},
	)
}

// onWishes changes what a hot-plug asks for.
func onWishes(f func(sel *network.Selection)) func(*assembly) {
	return onHotAdd(func(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
		if sel != nil {
			f(sel)
		}
		return next.HotAdd(ctx, r, sel)
	})
}

func hotListsOnly(ctx context.Context, r *attach.Request, sel *network.Selection, next daemon.Engine, _ attach.Options) (*types100.Result, error) {
	if pluginsOf(&cluster.Definition{Config: string(r.Config)}) == nil {
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
		for _, rec := range recordsOf(o.Ledger) {
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
	*lookups
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

func hotStatusKept(a *assembly) {
	a.cluster = &growing{&lookups{a.cluster, a.cluster.Pod}, map[string][]cluster.NetworkStatus{}}
}
