// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile add: the rollback, and clients that leave.
func init() {
	register(
		mutant{name: "rollback-missing", cases: []string{"ADD-05"}, daemon: noRollbackAfter(func(*types.Error) bool { return true }),
			fault: "an ADD that fails is not rolled back"},
		mutant{name: "rollback-in-order-of-add", cases: []string{"ADD-05"}, daemon: onRollback(func(rec, _ *ledger.Record) { slices.Reverse(rec.Attachments) }),
			fault: "the rollback deletes in the order of ADD"},
		mutant{name: "rollback-without-failed", cases: []string{"ADD-05"}, daemon: onRollback(func(rec, _ *ledger.Record) {
			rec.Attachments = rec.Attachments[:len(rec.Attachments)-1]
		}), fault: "the attachment that failed gets no DEL"},
		mutant{name: "rollback-of-all", cases: []string{"ADD-05"}, daemon: onRollback(func(rec, planned *ledger.Record) { rec.Attachments = planned.Attachments }),
			fault: "attachments that were never tried get a DEL too"},
		mutant{name: "rollback-stops-at-failure", cases: []string{"ADD-06"}, daemon: rollbackStops,
			fault: "a DEL that fails ends the rollback"},
		mutant{name: "rollback-error-wins", cases: []string{"ADD-06"}, daemon: rollbackErrorWins,
			fault: "the error of a failing rollback is answered in place of the first one"},
		mutant{name: "rollback-failure-forgotten", cases: []string{"ADD-06"}, daemon: rollbackForgotten,
			fault: "what a rollback could not delete is forgotten"},
		mutant{name: "disconnect-ignored", cases: []string{"ADD-14", "SHIM-10"}, daemon: disconnectIgnored,
			fault: "an ADD goes on when its client has left"},
		mutant{name: "disconnect-without-rollback", cases: []string{"ADD-14", "SHIM-10"}, daemon: disconnectWithoutRollback,
			fault: "an ADD whose client left is stopped and not rolled back"},
		mutant{name: "disconnect-keeps-lock", cases: []string{"ADD-14"}, daemon: disconnectKeepsLock,
			fault: "an ADD whose client left keeps the container's lock"},
	)
}

// lose and lost note that a request must not be rolled back.
func (r *request) lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isLost = true
}

func (r *request) lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isLost
}

// onRollback changes what a rollback is about to delete; planned is what the
// ADD wanted to attach.
func onRollback(f func(rec, planned *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		var plans sync.Map
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error {
				planned := *rec
				planned.Attachments = slices.Clone(rec.Attachments)
				plans.Store(rec.ContainerID, &planned)
				return next.Begin(rec)
			}
			r.save = func(rec *ledger.Record) error {
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

func rollbackStops(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.rollback() && p.request.lost() {
			return nil, errors.New("the rollback has failed already")
		}
		out, err := run(ctx, p)
		if p.rollback() && err != nil {
			p.request.lose()
		}
		return out, err
	})
}

func rollbackErrorWins(a *assembly) {
	var failures sync.Map
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.rollback() && err != nil {
			failures.Store(p.request.ContainerID, err)
		}
		return out, err
	})
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			result, err := next.Add(ctx, r)
			if failure, ok := failures.LoadAndDelete(r.ContainerID); ok {
				return nil, failure.(error)
			}
			return result, err
		}
	})
}

func rollbackForgotten(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.rollback() {
			return out, nil
		}
		return out, err
	})
}

func disconnectIgnored(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			return next.Add(context.WithoutCancel(ctx), r)
		}
	})
}

func disconnectWithoutRollback(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			defer context.AfterFunc(ctx, requestOf(ctx).lose)()
			return next.Add(ctx, r)
		}
	})
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.rollback() && p.request.lost() {
			return nil, nil
		}
		return run(ctx, p)
	})
}

func disconnectKeepsLock(a *assembly) {
	var locks keyedLocks
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			unlock := locks.lock(r.ContainerID)
			result, err := next.Add(ctx, r)
			if ctx.Err() == nil {
				unlock()
			}
			return result, err
		}
	})
}
