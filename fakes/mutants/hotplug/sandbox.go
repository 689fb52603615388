// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"errors"
	"slices"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile hotplug: what an attachment shares with its sandbox.
var sandboxMutants = []mutant.Mutant{
	{Name: "hot-left-by-del", Cases: []string{"HOT-04"}, Daemon: hotLeftByDel,
		Fault: "the sandbox's DEL leaves what was hot-plugged"},
	{Name: "hot-unchecked", Cases: []string{"HOT-04"}, Daemon: seam.Swallowed(func(p *seam.Plugin) bool { return p.Command() == "CHECK" && hotInterface(p) }),
		Fault: "the sandbox's CHECK does not look at what was hot-plugged"},
	{Name: "hot-collected", Cases: []string{"HOT-04"}, Daemon: hotCollected,
		Fault: "GC removes what was hot-plugged, which the runtime does not know of"},
	{Name: "hot-forgotten-at-restart", Cases: []string{"HOT-06"}, Daemon: hotForgottenAtRestart,
		Fault: "what was hot-plugged is not known after a restart"},
	{Name: "hot-result-lost-at-restart", Cases: []string{"HOT-06"}, Daemon: seam.OnFormerRecord(func(rec *ledger.Record) {
		for i := range rec.Attachments {
			if rec.Attachments[i].HotPlugged {
				rec.Attachments[i].Result = nil
			}
		}
	}), Fault: "after a restart a hot-plugged attachment is deleted without the result of its ADD"},
	{Name: "hot-removed-at-restart", Cases: []string{"HOT-06"}, Daemon: hotRemovedAtRestart,
		Fault: "a daemon that starts removes what was hot-plugged"},
	{Name: "hot-status-inner-name", Cases: []string{"HOT-07"}, Daemon: seam.OnNetworks(func(context.Context, string, string, cluster.Cluster) string { return "" }),
		Fault: "the status has a hot-plugged attachment under the name in its configuration"},
	{Name: "hot-status-of-add", Cases: []string{"HOT-07"}, Daemon: func(a *seam.Assembly) {
		a.Cluster = &silent{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}, map[string]bool{}}
	}, Fault: "the status is written at ADD and by no hot-plug"},
}

// withoutHotPlugged takes what was hot-plugged out of a record.
func withoutHotPlugged(rec *ledger.Record) {
	rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool { return at.HotPlugged })
}

func hotLeftByDel(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
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

func hotCollected(a *seam.Assembly) {
	a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
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
func hotForgottenAtRestart(a *seam.Assembly) { seam.OnFormerRecord(withoutHotPlugged)(a) }

func hotRemovedAtRestart(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
		h.OnReplay = func(ctx context.Context, firstPass func()) {
			_ = unplugEverywhere(ctx, next, o) // a fault need not be thorough
			next.Replay(ctx, firstPass)
		}
	})
}
