// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// The profile del: what is deleted, with what, and what of it is kept in mind.
var mutants = []mutant.Mutant{
	{Name: "del-in-order-of-add", Cases: []string{"DEL-01"}, Daemon: onDelete(func(rec *ledger.Record) { slices.Reverse(rec.Attachments) }),
		Fault: "DEL deletes in the order of ADD"},
	{Name: "del-default-only", Cases: []string{"DEL-01"}, Daemon: onDelete(func(rec *ledger.Record) { rec.Attachments = rec.Attachments[:1] }),
		Fault: "DEL deletes the default network only"},
	{Name: "del-interface-of-runtime", Cases: []string{"DEL-01"}, Daemon: seam.OnVariables("DEL", func(p *seam.Plugin) {
		if p.Request != nil {
			p.Set("CNI_IFNAME", p.Request.Interface)
		}
	}), Fault: "every delegate's DEL gets the runtime's interface name"},
	{Name: "del-unknown-fails", Cases: []string{"DEL-02"}, Daemon: delUnknownFails,
		Fault: "a DEL of a container that the ledger does not know fails"},
	{Name: "del-keeps-record", Cases: []string{"DEL-02"}, Daemon: delKeepsRecord,
		Fault: "the record stays after DEL"},
	{Name: "del-fails-without-netns", Cases: []string{"DEL-03"}, Daemon: onGoneNetns(func() error {
		return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_NETNS does not exist", "")
	}), Fault: "a DEL without a namespace fails"},
	{Name: "del-skips-without-netns", Cases: []string{"DEL-03"}, Daemon: onGoneNetns(func() error { return nil }),
		Fault: "a DEL without a namespace succeeds and does nothing"},
	{Name: "del-config-of-now", Cases: []string{"DEL-04"}, Daemon: seam.ConfigOfNow("DEL"),
		Fault: "DEL uses the network definitions as they are now"},
	{Name: "del-runtime-config-missing", Cases: []string{"DEL-04"}, Daemon: seam.OnConf("DEL", func(_ *seam.Plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
		Fault: "delegates get no runtimeConfig at DEL"},
	{Name: "del-args-missing", Cases: []string{"DEL-04"}, Daemon: seam.OnVariables("DEL", func(p *seam.Plugin) { p.Set("CNI_ARGS", "") }),
		Fault: "delegates get no CNI_ARGS at DEL"},
	{Name: "del-prev-result-missing", Cases: []string{"DEL-05"}, Daemon: seam.OnConf("DEL", seam.DropPrevResult),
		Fault: "delegates get no prevResult at DEL"},
	{Name: "results-lost-at-restart", Cases: []string{"DEL-05", "CHECK-02"}, Daemon: seam.OnFormerRecord(withoutResults),
		Fault: "the results of ADD do not survive a restart"},
	{Name: "results-lost-when-killed", Cases: []string{"DEL-05"}, Daemon: resultsWhenAdded,
		Fault: "the results of an ADD are recorded when all its delegates have run"},
	{Name: "del-stops-at-first-error", Cases: []string{"DEL-06"}, Daemon: delStopsAtFirstError,
		Fault: "a delegate that fails at DEL ends the DEL"},
	{Name: "del-error-swallowed", Cases: []string{"DEL-06"}, Daemon: delErrorSwallowed,
		Fault: "a delegate that fails at DEL is not reported"},
	{Name: "del-forgets-failed", Cases: []string{"DEL-06"}, Daemon: delForgetsFailed,
		Fault: "what failed at DEL is not tried again"},
	{Name: "del-damaged-fails", Cases: []string{"DEL-07"}, Daemon: onDamaged(func(err *ledger.DamagedError) error { return err }),
		Fault: "a DEL whose record is damaged fails for ever"},
	{Name: "del-damaged-forgotten", Cases: []string{"DEL-07"}, Daemon: onDamaged(func(*ledger.DamagedError) error { return nil }),
		Fault: "a DEL whose record is damaged succeeds and does nothing"},
	{Name: "damaged-record-removed", Cases: []string{"DEL-07"}, Daemon: damagedRemoved,
		Fault: "damaged records are not kept"},
	{Name: "damaged-record-stops-daemon", Cases: []string{"DEL-07"}, Unserved: true, Daemon: damagedStopsDaemon,
		Fault: "the daemon does not start while there is a damaged record"},
	{Name: "damaged-record-harms-others", Cases: []string{"DEL-07"}, Daemon: damagedHarmsOthers,
		Fault: "CHECK of any container fails while there is a damaged record"},
	{Name: "del-refused-during-add", Cases: []string{"DEL-08"}, Daemon: delRefusedDuringAdd,
		Fault: "a DEL during the container's ADD fails"},
	{Name: "del-forgotten-during-add", Cases: []string{"DEL-08"}, Daemon: delForgottenDuringAdd,
		Fault: "a DEL during the container's ADD succeeds at once, and the ADD goes on"},
	{Name: "del-needs-pod", Cases: []string{"DEL-09", "DEL-04"}, Daemon: delNeedsPod,
		Fault: "DEL looks the pod up first"},
	{Name: "del-waits-for-cluster", Cases: []string{"DEL-09"}, Daemon: delWaitsForCluster,
		Fault: "DEL waits until the cluster is known"},
}

// onDelete changes a record whose DEL begins; a rollback is none.
func onDelete(f func(rec *ledger.Record)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var adding sync.Map
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error {
				adding.Store(rec.ContainerID, true)
				return next.Begin(rec)
			}
			r.OnSave = func(rec *ledger.Record) error {
				if _, rollback := adding.LoadAndDelete(rec.ContainerID); !rollback && rec.State == ledger.StateDeleting && len(rec.Attachments) > 0 {
					f(rec)
				}
				return next.Save(rec)
			}
		})
	}
}

func delUnknownFails(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
			return types.NewError(types.ErrUnknownContainer, err.Error(), "")
		}
		return next.Del(ctx, r)
	})
}

func delKeepsRecord(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, _ attach.Ledger) { r.OnRemove = func(string) error { return nil } })
}

// onGoneNetns replaces the DEL of a sandbox whose namespace is not there.
func onGoneNetns(f func() error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			_, err := o.Ledger.Load(r.ContainerID)
			if _, gone := os.Stat(r.Netns); gone != nil && err == nil {
				return f()
			}
			return next.Del(ctx, r)
		})
	}
}

func withoutResults(rec *ledger.Record) {
	for i := range rec.Attachments {
		rec.Attachments[i].Result = nil
	}
}

func resultsWhenAdded(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnSave = func(rec *ledger.Record) error {
			if rec.State == ledger.StateAdding {
				return nil
			}
			return next.Save(rec)
		}
	})
}

func delStopsAtFirstError(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.CommandOfRequest() == "DEL" && p.Request.Lost() {
			return nil, errors.New("an earlier delegate has failed")
		}
		out, err := run(ctx, p)
		if p.CommandOfRequest() == "DEL" && err != nil {
			p.Request.Lose()
		}
		return out, err
	})
}

func delErrorSwallowed(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.CommandOfRequest() == "DEL" {
			return out, nil
		}
		return out, err
	})
}

func delForgetsFailed(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		err := next.Del(ctx, r)
		if err != nil {
			_ = o.Ledger.Remove(r.ContainerID)
		}
		return err
	})
}

// onDamaged replaces the DEL of a container whose record is damaged.
func onDamaged(f func(*ledger.DamagedError) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			_, err := o.Ledger.Load(r.ContainerID)
			var damaged *ledger.DamagedError
			if errors.As(err, &damaged) {
				return f(damaged)
			}
			return next.Del(ctx, r)
		})
	}
}

func damagedRemoved(a *seam.Assembly) {
	a.OnStart(func() error {
		for _, path := range seam.Damaged(a.Config.CNIDir) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return nil
	})
}

func damagedStopsDaemon(a *seam.Assembly) {
	a.OnStart(func() error {
		if all := seam.Damaged(a.Config.CNIDir); len(all) > 0 {
			return fmt.Errorf("damaged records: %v", all)
		}
		return nil
	})
}

func damagedHarmsOthers(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnCheck = func(ctx context.Context, r *attach.Request) error {
			kept, _ := filepath.Glob(filepath.Join(a.Config.CNIDir, "ledger", "damaged", "*.json"))
			if len(kept) > 0 {
				return types.NewError(types.ErrInternal, fmt.Sprintf("the ledger is damaged: %v", kept), "")
			}
			return next.Check(ctx, r)
		}
	})
}

// duringAdd replaces a DEL that comes while an ADD of the container runs.
func duringAdd(a *seam.Assembly, f func() error) {
	var adding sync.Map
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			adding.Store(r.ContainerID, true)
			defer adding.Delete(r.ContainerID)
			return next.Add(ctx, r)
		}
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			if _, running := adding.Load(r.ContainerID); running {
				return f()
			}
			return next.Del(ctx, r)
		}
	})
}

func delRefusedDuringAdd(a *seam.Assembly) {
	duringAdd(a, func() error { return types.NewError(types.ErrTryAgainLater, "an ADD of the container runs", "") })
}

func delForgottenDuringAdd(a *seam.Assembly) { duringAdd(a, func() error { return nil }) }

func delNeedsPod(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if _, err := o.Cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name); err != nil {
			return err
		}
		return next.Del(ctx, r)
	})
}

func delWaitsForCluster(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		select {
		case <-o.Cluster.Ready():
			return next.Del(ctx, r)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}
