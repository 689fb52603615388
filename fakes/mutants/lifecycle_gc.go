// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile lifecycle: what GC deletes.
func init() {
	register(
		mutant{name: "gc-valid-ignored", cases: []string{"GC-01"}, daemon: onValid(func([]types.GCAttachment, attach.Options) []types.GCAttachment {
			return nil
		}), fault: "GC deletes every container, also those that the runtime names"},
		mutant{name: "gc-deletes-nothing", cases: []string{"GC-01"}, daemon: onValid(everyContainer),
			fault: "GC runs the delegates' GC only and deletes no container"},
		mutant{name: "gc-further-interfaces", cases: []string{"GC-01"}, daemon: gcFurtherInterfaces,
			fault: "GC takes the runtime's list for all valid attachments, and so deletes net1 and further ones of the containers that it names"},
		mutant{name: "gc-skips-without-netns", cases: []string{"GC-01"}, daemon: onValid(withoutNetns),
			fault: "GC keeps containers whose namespace is gone"},
		mutant{name: "gc-default-network-only", cases: []string{"GC-01"}, daemon: swallowed(func(p *plugin) bool {
			return p.commandOfRequest() == "GC" && p.command() == "DEL" && p.get("CNI_IFNAME") != "eth0"
		}), fault: "GC deletes the default network's attachments only"},
		mutant{name: "gc-old-key-only", cases: []string{"GC-01"}, daemon: onGCConfig(func(conf map[string]any) {
			conf[validKey] = conf["cni.dev/attachments"]
		}), fault: "GC reads cni.dev/attachments, the key of an older draft, only"},
		mutant{name: "gc-keeps-status", cases: []string{"GC-01"}, daemon: gcKeepsStatus,
			fault: "GC leaves the network status of what it deleted"},
	)
}

// onGC replaces GC.
func (a *assembly) onGC(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.gc = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
	})
}

// onGCConfig changes the configuration that a runtime sends with GC.
func onGCConfig(f func(conf map[string]any)) func(*assembly) {
	return func(a *assembly) {
		a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
			return next.GC(ctx, withConfig(r, f))
		})
	}
}

// withConfig is a request with another configuration.
func withConfig(r *attach.Request, f func(conf map[string]any)) *attach.Request {
	var conf map[string]any
	if json.Unmarshal(r.Config, &conf) != nil {
		return r
	}
	f(conf)
	changed := *r
	changed.Config, _ = json.Marshal(conf)
	return &changed
}

// validOf are the valid attachments of a GC.
func validOf(config []byte) []types.GCAttachment {
	var conf struct {
		Valid []types.GCAttachment `json:"cni.dev/valid-attachments"`
	}
	_ = json.Unmarshal(config, &conf)
	return conf.Valid
}

// onValid changes the valid attachments of a GC.
func onValid(f func(valid []types.GCAttachment, o attach.Options) []types.GCAttachment) func(*assembly) {
	return func(a *assembly) {
		a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			valid := f(validOf(r.Config), o)
			return next.GC(ctx, withConfig(r, func(conf map[string]any) { conf[validKey] = valid }))
		})
	}
}

// recordsOf are all records that can be read.
func recordsOf(l attach.Ledger) []*ledger.Record {
	ids, _ := l.Containers()
	var all []*ledger.Record
	for _, id := range ids {
		if rec, err := l.Load(id); err == nil {
			all = append(all, rec)
		}
	}
	return all
}

// asRuntime is a container as the runtime names it.
func asRuntime(rec *ledger.Record) types.GCAttachment {
	return types.GCAttachment{ContainerID: rec.ContainerID, IfName: rec.Interface}
}

func everyContainer(valid []types.GCAttachment, o attach.Options) []types.GCAttachment {
	for _, rec := range recordsOf(o.Ledger) {
		valid = append(valid, asRuntime(rec))
	}
	return valid
}

func withoutNetns(valid []types.GCAttachment, o attach.Options) []types.GCAttachment {
	for _, rec := range recordsOf(o.Ledger) {
		if _, err := os.Stat(rec.Netns); err != nil {
			valid = append(valid, asRuntime(rec))
		}
	}
	return valid
}

// listsOf are the configurations of all attachments, one per network.
func listsOf(o attach.Options) map[string]*libcni.NetworkConfigList {
	lists := map[string]*libcni.NetworkConfigList{}
	for _, rec := range recordsOf(o.Ledger) {
		for _, at := range rec.Attachments {
			if list, err := libcni.NetworkConfFromBytes([]byte(at.Config)); err == nil {
				lists[list.Name] = list
			}
		}
	}
	return lists
}

func gcFurtherInterfaces(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		failures := []error{next.GC(ctx, r)}
		valid := validOf(r.Config)
		for _, rec := range recordsOf(o.Ledger) {
			for _, at := range rec.Attachments {
				if slices.Contains(valid, types.GCAttachment{ContainerID: rec.ContainerID, IfName: at.Interface}) {
					continue
				}
				list, err := libcni.NetworkConfFromBytes([]byte(at.Config))
				if err == nil {
					err = cniOf(o).DelNetworkList(ctx, list, runtimeOf(rec, &at))
				}
				failures = append(failures, err)
			}
		}
		return errors.Join(failures...)
	})
}

// keeping is a cluster that does not withdraw some statuses.
type keeping struct {
	cluster.Cluster
	keeps func(pod string) bool
}

// WithdrawStatus implements cluster.Cluster.
func (k *keeping) WithdrawStatus(pod *cluster.Pod, status []cluster.NetworkStatus) {
	if !k.keeps(pod.Namespace + "/" + pod.Name) {
		k.Cluster.WithdrawStatus(pod, status)
	}
}

// Run follows the real cluster where that has to be run.
func (k *keeping) Run(ctx context.Context) error { return (&lookups{Cluster: k.Cluster}).Run(ctx) }

func gcKeepsStatus(a *assembly) {
	var deleted sync.Map
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		deleted.Store(r.Pod.Namespace+"/"+r.Pod.Name, true)
		return next.Del(ctx, r)
	})
	a.cluster = &keeping{a.cluster, func(pod string) bool { _, byDel := deleted.Load(pod); return !byDel }}
}
