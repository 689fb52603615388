// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/containernetworking/plugins/pkg/ns"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile resilience: what a fresh daemon makes of namespaces that it does
// not see.
func init() {
	register(
		mutant{name: "unseen-is-gone", cases: []string{"RES-09"}, daemon: deletingAtStart(func(path string) bool { return !exists(path) }),
			fault: "a sandbox whose namespace's path does not exist is deleted at the start"},
		mutant{name: "not-mounted-is-gone", cases: []string{"RES-09"}, daemon: deletingAtStart(notNamespace),
			fault: "a sandbox at whose namespace's path there is no namespace is deleted at the start"},
		mutant{name: "unseen-of-multus-is-gone", cases: []string{"RES-09"}, daemon: deletingMultusAtStart,
			fault: "a sandbox of Multus whose namespace is not seen is deleted at the first start"},
		mutant{name: "unseen-and-ready", cases: []string{"RES-09"}, daemon: readyUnseen,
			fault: "the daemon is ready although it does not see the namespaces of its sandboxes"},
		mutant{name: "unseen-for-ever", cases: []string{"RES-09"}, daemon: unseenForEver,
			fault: "namespaces that come into view are not noticed"},
	)
}

// deletingAtStart deletes the recorded sandboxes whose namespace's path is as
// the fault wants it, before the replay.
func deletingAtStart(gone func(path string) bool) func(*assembly) {
	return func(a *assembly) {
		a.onReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
			for _, rec := range recordsOf(o.Ledger) {
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

func notNamespace(path string) bool { return exists(path) && ns.IsNSorErr(path) != nil }

func deletingMultusAtStart(a *assembly) {
	a.onReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
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

func readyUnseen(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.unseen = func() string { return "" }
		h.replay = func(ctx context.Context, firstPass func()) {
			firstPass()
			next.Replay(ctx, firstPass)
		}
	})
}

// unseenForEver looks once whether all namespaces are in view.
func unseenForEver(a *assembly) {
	a.onReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
		for _, rec := range recordsOf(o.Ledger) {
			if ns.IsNSorErr(rec.Netns) != nil {
				<-ctx.Done()
			}
		}
		next.Replay(ctx, firstPass)
	})
}
