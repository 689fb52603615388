// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile add: the rollback, and clients that leave.
var rollbackMutants = []mutant.Mutant{
	{Name: "rollback-missing", Cases: []string{"ADD-05"}, Daemon: noRollbackAfter(func(*types.Error) bool { return true }),
		Fault: "an ADD that fails is not rolled back"},
	{Name: "rollback-in-order-of-add", Cases: []string{"ADD-05"}, Daemon: onRollback(func(rec, _ *ledger.Record) { slices.Reverse(rec.Attachments) }),
		Fault: "the rollback deletes in the order of ADD"},
	{Name: "rollback-without-failed", Cases: []string{"ADD-05"}, Daemon: onRollback(func(rec, _ *ledger.Record) {
		rec.Attachments = rec.Attachments[:len(rec.Attachments)-1]
	}), Fault: "the attachment that failed gets no DEL"},
	{Name: "rollback-of-all", Cases: []string{"ADD-05"}, Daemon: onRollback(func(rec, planned *ledger.Record) { rec.Attachments = planned.Attachments }),
		Fault: "attachments that were never tried get a DEL too"},
	{Name: "rollback-stops-at-failure", Cases: []string{"ADD-06"}, Daemon: rollbackStops,
		Fault: "a DEL that fails ends the rollback"},
	{Name: "rollback-error-wins", Cases: []string{"ADD-06"}, Daemon: rollbackErrorWins,
		Fault: "the error of a failing rollback is answered in place of the first one"},
	{Name: "rollback-failure-forgotten", Cases: []string{"ADD-06"}, Daemon: rollbackForgotten,
		Fault: "what a rollback could not delete is forgotten"},
	{Name: "disconnect-ignored", Cases: []string{"ADD-14", "SHIM-10"}, Daemon: disconnectIgnored,
		Fault: "an ADD goes on when its client has left"},
	{Name: "disconnect-without-rollback", Cases: []string{"ADD-14", "SHIM-10"}, Daemon: disconnectWithoutRollback,
		Fault: "an ADD whose client left is stopped and not rolled back"},
	{Name: "disconnect-keeps-lock", Cases: []string{"ADD-14"}, Daemon: disconnectKeepsLock,
		Fault: "an ADD whose client left keeps the container's lock"},
}

// onRollback changes what a rollback is about to delete; planned is what the
// ADD wanted to attach.
func onRollback(f func(rec, planned *ledger.Record)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var plans sync.Map
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error {
				planned := *rec
				planned.Attachments = slices.Clone(rec.Attachments)
				plans.Store(rec.ContainerID, &planned)
				return next.Begin(rec)
			}
			r.OnSave = func(rec *ledger.Record) error {
				if rec.State == ledger.StateAdding {
					return next.Save(rec) // it goes on
				}
				planned, adding := plans.LoadAndDelete(rec.ContainerID)
				if adding && rec.State == ledger.StateDeleting {
					f(rec, planned.(*ledger.Record))
				}
				return next.Save(rec)
			}
		})
	}
}

func rollbackStops(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.Rollback() && p.Request.Lost() {
			return nil, errors.New("the rollback has failed already")
		}
		out, err := run(ctx, p)
		if p.Rollback() && err != nil {
			p.Request.Lose()
		}
		return out, err
	})
}

func rollbackErrorWins(a *seam.Assembly) {
	var failures sync.Map
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.Rollback() && err != nil {
			failures.Store(p.Request.ContainerID, err)
		}
		return out, err
	})
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			if failure, ok := failures.LoadAndDelete(r.ContainerID); ok {
				return nil, failure.(error)
			}
			return result, err
		}
	})
}

func rollbackForgotten(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.Rollback() {
			return out, nil
		}
		return out, err
	})
}

func disconnectIgnored(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			return next.Add(context.WithoutCancel(ctx), r)
		}
	})
}

func disconnectWithoutRollback(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			defer context.AfterFunc(ctx, seam.RequestOf(ctx).Lose)()
			return next.Add(ctx, r)
		}
	})
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.Rollback() && p.Request.Lost() {
			return nil, nil
		}
		return run(ctx, p)
	})
}

func disconnectKeepsLock(a *seam.Assembly) {
	var locks seam.KeyedLocks
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			unlock := locks.Lock(r.ContainerID)
			result, err := next.Add(ctx, r)
			if ctx.Err() == nil {
				unlock()
			}
			return result, err
		}
	})
}
