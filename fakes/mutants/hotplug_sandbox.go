// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile hotplug: what an attachment shares with its sandbox.
func init() {
	register(
		mutant{name: "hot-left-by-del", cases: []string{"HOT-04"}, daemon: hotLeftByDel,
			fault: "the sandbox's DEL leaves what was hot-plugged"},
		mutant{name: "hot-unchecked", cases: []string{"HOT-04"}, daemon: swallowed(func(p *plugin) bool { return p.command() == "CHECK" && hotInterface(p) }),
			fault: "the sandbox's CHECK does not look at what was hot-plugged"},
		mutant{name: "hot-collected", cases: []string{"HOT-04"}, daemon: hotCollected,
			fault: "GC removes what was hot-plugged, which the runtime does not know of"},
		mutant{name: "hot-forgotten-at-restart", cases: []string{"HOT-06"}, daemon: hotForgottenAtRestart,
			fault: "what was hot-plugged is not known after a restart"},
		mutant{name: "hot-removed-at-restart", cases: []string{"HOT-06"}, daemon: hotRemovedAtRestart,
			fault: "a daemon that starts removes what was hot-plugged"},
		mutant{name: "hot-status-inner-name", cases: []string{"HOT-07"}, daemon: onNetworks(func(context.Context, string, string, cluster.Cluster) string { return "" }),
			fault: "the status has a hot-plugged attachment under the name in its configuration"},
		mutant{name: "hot-status-of-add", cases: []string{"HOT-07"}, daemon: func(a *assembly) {
			a.cluster = &silent{&lookups{a.cluster, a.cluster.Pod}, map[string]bool{}}
		}, fault: "the status is written at ADD and by no hot-plug"},
	)
}

// withoutHotPlugged takes what was hot-plugged out of a record.
func withoutHotPlugged(rec *ledger.Record) {
	rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool { return at.HotPlugged })
}

func hotLeftByDel(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.del = func(ctx context.Context, r *attach.Request) error {
			if rec, err := o.Ledger.Load(r.ContainerID); err == nil {
				withoutHotPlugged(rec)
				if err := o.Ledger.Save(rec); err != nil {
					return err
				}
			}
			return next.Del(ctx, r)
		}
	})
}

func hotCollected(a *assembly) {
	a.onGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		return errors.Join(unplugEverywhere(ctx, next, o), next.GC(ctx, r))
	})
}

// unplugEverywhere removes what is hot-plugged of all sandboxes.
func unplugEverywhere(ctx context.Context, next daemon.Engine, o attach.Options) error {
	all, err := o.Ledger.Containers()
	for _, id := range all {
		err = errors.Join(err, unplugAll(ctx, &attach.Request{ContainerID: id}, next, o))
	}
	return err
}

// hotForgottenAtRestart forgets what an earlier process hot-plugged.
func hotForgottenAtRestart(a *assembly) { onFormerRecord(withoutHotPlugged)(a) }

// onFormerRecord changes the records of an earlier process as they are read.
func onFormerRecord(f func(rec *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		var own sync.Map
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error {
				own.Store(rec.ContainerID, true)
				return next.Begin(rec)
			}
			r.load = func(containerID string) (*ledger.Record, error) {
				rec, err := next.Load(containerID)
				if _, known := own.Load(containerID); err == nil && !known {
					f(rec)
				}
				return rec, err
			}
		})
	}
}

func hotRemovedAtRestart(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.replay = func(ctx context.Context, firstPass func()) {
			_ = unplugEverywhere(ctx, next, o) // a fault need not be thorough
			next.Replay(ctx, firstPass)
		}
	})
}
