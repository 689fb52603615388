// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile resilience: what a fresh daemon makes of namespaces that it does
// not see.
var unseenMutants = []mutant.Mutant{
	{Name: "unseen-is-gone", Cases: []string{"RES-09"}, Daemon: deletingAtStart(func(path string) bool { return !seam.Exists(path) }),
		Fault: "a sandbox whose namespace's path does not exist is deleted at the start"},
	{Name: "not-mounted-is-gone", Cases: []string{"RES-09"}, Daemon: deletingAtStart(notNamespace),
		Fault: "a sandbox at whose namespace's path there is no namespace is deleted at the start"},
	{Name: "unseen-of-multus-is-gone", Cases: []string{"RES-09"}, Daemon: deletingMultusAtStart,
		Fault: "a sandbox of Multus whose namespace is not seen is deleted at the first start"},
	{Name: "unseen-and-ready", Cases: []string{"RES-09"}, Daemon: readyUnseen,
		Fault: "the daemon is ready although it does not see the namespaces of its sandboxes"},
	{Name: "unseen-for-ever", Cases: []string{"RES-09"}, Daemon: unseenForEver,
		Fault: "namespaces that come into view are not noticed"},
}

// deletingAtStart deletes the recorded sandboxes whose namespace's path is as
// the fault wants it, before the replay.
func deletingAtStart(gone func(path string) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
			for _, rec := range seam.RecordsOf(o.Ledger) {
				if gone(rec.Netns) {
					_ = next.Del(ctx, delOf(rec))
				}
			}
			next.Replay(ctx, firstPass)
		})
	}
}

// delOf is a DEL without a namespace.
func delOf(rec *ledger.Record) *attach.Request {
	return &attach.Request{ContainerID: rec.ContainerID, Interface: rec.Interface, Args: rec.Args, Pod: rec.Pod}
}

func notNamespace(path string) bool { return seam.Exists(path) && ns.IsNSorErr(path) != nil }

func deletingMultusAtStart(a *seam.Assembly) {
	a.OnReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
		ids, _ := o.Ledger.MultusContainers()
		for _, id := range ids {
			if ns.IsNSorErr(netnsOfMultus(o.CacheDir, id)) != nil {
				_ = next.Del(ctx, delOf(&ledger.Record{ContainerID: id, Interface: "eth0"}))
			}
		}
		next.Replay(ctx, firstPass)
	})
}

// netnsOfMultus is the path that libcni cached for a container.
func netnsOfMultus(cacheDir, containerID string) string {
	cached, _ := filepath.Glob(filepath.Join(cacheDir, "results", "*-"+containerID+"-*"))
	for _, path := range cached {
		var entry struct {
			Netns string `json:"netns"`
		}
		if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &entry) == nil {
			return entry.Netns
		}
	}
	return ""
}

func readyUnseen(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnUnseen = func() string { return "" }
		h.OnReplay = func(ctx context.Context, firstPass func()) {
			firstPass()
			next.Replay(ctx, firstPass)
		}
	})
}

// unseenForEver looks once whether all namespaces are in view.
func unseenForEver(a *seam.Assembly) {
	a.OnReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
		for _, rec := range seam.RecordsOf(o.Ledger) {
			if ns.IsNSorErr(rec.Netns) != nil {
				<-ctx.Done()
			}
		}
		next.Replay(ctx, firstPass)
	})
}
