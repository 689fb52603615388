// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile lifecycle: what GC deletes.
var gcMutants = []mutant.Mutant{
	{Name: "gc-valid-ignored", Cases: []string{"GC-01"}, Daemon: onValid(func([]types.GCAttachment, attach.Options) []types.GCAttachment {
		return nil
	}), Fault: "GC deletes every container, also those that the runtime names"},
	{Name: "gc-deletes-nothing", Cases: []string{"GC-01"}, Daemon: onValid(everyContainer),
		Fault: "GC runs the delegates' GC only and deletes no container"},
	{Name: "gc-further-interfaces", Cases: []string{"GC-01"}, Daemon: gcFurtherInterfaces,
		Fault: "GC takes the runtime's list for all valid attachments, and so deletes net1 and further ones of the containers that it names"},
	{Name: "gc-skips-without-netns", Cases: []string{"GC-01"}, Daemon: onValid(withoutNetns),
		Fault: "GC keeps containers whose namespace is gone"},
	{Name: "gc-default-network-only", Cases: []string{"GC-01"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool {
		return p.CommandOfRequest() == "GC" && p.Command() == "DEL" && p.Get("CNI_IFNAME") != "eth0"
	}), Fault: "GC deletes the default network's attachments only"},
	{Name: "gc-old-key-only", Cases: []string{"GC-01"}, Daemon: onGCConfig(func(conf map[string]any) {
		conf[seam.ValidKey] = conf["cni.dev/attachments"]
	}), Fault: "GC reads cni.dev/attachments, the key of an older draft, only"},
	{Name: "gc-leaves-out-just-plugged", Cases: []string{"GC-01"}, Daemon: gcLeavesOutJustPlugged,
		Fault: "GC leaves a sandbox out, and succeeds, while the daemon records that a hot-plug of it was answered"},
	{Name: "gc-keeps-status", Cases: []string{"ADD-18"}, Daemon: gcKeepsStatus,
		Fault: "GC leaves the network status of what it deleted"},
}

// onGCConfig changes the configuration that a runtime sends with GC.
func onGCConfig(f func(conf map[string]any)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
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

// onValid changes the valid attachments of a GC.
func onValid(f func(valid []types.GCAttachment, o attach.Options) []types.GCAttachment) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			valid := f(seam.ValidOf(r.Config), o)
			return next.GC(ctx, withConfig(r, func(conf map[string]any) { conf[seam.ValidKey] = valid }))
		})
	}
}

// asRuntime is a container as the runtime names it.
func asRuntime(rec *ledger.Record) types.GCAttachment {
	return types.GCAttachment{ContainerID: rec.ContainerID, IfName: rec.Interface}
}

func everyContainer(valid []types.GCAttachment, o attach.Options) []types.GCAttachment {
	for _, rec := range seam.RecordsOf(o.Ledger) {
		valid = append(valid, asRuntime(rec))
	}
	return valid
}

func withoutNetns(valid []types.GCAttachment, o attach.Options) []types.GCAttachment {
	for _, rec := range seam.RecordsOf(o.Ledger) {
		if _, err := os.Stat(rec.Netns); err != nil {
			valid = append(valid, asRuntime(rec))
		}
	}
	return valid
}

func gcLeavesOutJustPlugged(a *seam.Assembly) {
	var plugged sync.Map // when, by container
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnSave = func(rec *ledger.Record) error {
			if slices.ContainsFunc(rec.Attachments, func(at ledger.Attachment) bool { return at.HotPlugged }) {
				plugged.Store(rec.ContainerID, time.Now())
			}
			return next.Save(rec)
		}
	})
	onValid(func(valid []types.GCAttachment, o attach.Options) []types.GCAttachment {
		for _, rec := range seam.RecordsOf(o.Ledger) {
			if at, ok := plugged.Load(rec.ContainerID); ok && time.Since(at.(time.Time)) < 2*time.Second {
				valid = append(valid, asRuntime(rec))
			}
		}
		return valid
	})(a)
}

// listsOf are the configurations of all attachments, one per network.
func listsOf(o attach.Options) map[string]*libcni.NetworkConfigList {
	lists := map[string]*libcni.NetworkConfigList{}
	for _, rec := range seam.RecordsOf(o.Ledger) {
		for _, at := range rec.Attachments {
			if list, err := libcni.NetworkConfFromBytes([]byte(at.Config)); err == nil {
				lists[list.Name] = list
			}
		}
	}
	return lists
}

func gcFurtherInterfaces(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		failures := []error{next.GC(ctx, r)}
		valid := seam.ValidOf(r.Config)
		for _, rec := range seam.RecordsOf(o.Ledger) {
			for _, at := range rec.Attachments {
				if slices.Contains(valid, types.GCAttachment{ContainerID: rec.ContainerID, IfName: at.Interface}) {
					continue
				}
				list, err := libcni.NetworkConfFromBytes([]byte(at.Config))
				if err == nil {
					err = seam.CniOf(o).DelNetworkList(ctx, list, seam.RuntimeOf(rec, &at))
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
func (k *keeping) WithdrawStatus(w cluster.Withdrawal) {
	if !k.keeps(w.Pod.Namespace + "/" + w.Pod.Name) {
		k.Cluster.WithdrawStatus(w)
	}
}

// Run follows the real cluster where that has to be run.
func (k *keeping) Run(ctx context.Context) error { return (&seam.Lookups{Cluster: k.Cluster}).Run(ctx) }

func gcKeepsStatus(a *seam.Assembly) {
	var deleted sync.Map
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		deleted.Store(r.Pod.Namespace+"/"+r.Pod.Name, true)
		return next.Del(ctx, r)
	})
	a.Cluster = &keeping{a.Cluster, func(pod string) bool { _, byDel := deleted.Load(pod); return !byDel }}
}
