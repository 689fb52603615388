// SPDX-License-Identifier: Apache-2.0

package main

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

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile del: what is deleted, with what, and what of it is kept in mind.
func init() {
	register(
		mutant{name: "del-in-order-of-add", cases: []string{"DEL-01"}, daemon: onDelete(func(rec *ledger.Record) { slices.Reverse(rec.Attachments) }),
			fault: "DEL deletes in the order of ADD"},
		mutant{name: "del-default-only", cases: []string{"DEL-01"}, daemon: onDelete(func(rec *ledger.Record) { rec.Attachments = rec.Attachments[:1] }),
			fault: "DEL deletes the default network only"},
		mutant{name: "del-interface-of-runtime", cases: []string{"DEL-01"}, daemon: onVariables("DEL", func(p *plugin) {
			if p.request != nil {
				p.set("CNI_IFNAME", p.request.Interface)
			}
		}), fault: "every delegate's DEL gets the runtime's interface name"},
		mutant{name: "del-unknown-fails", cases: []string{"DEL-02"}, daemon: delUnknownFails,
			fault: "a DEL of a container that the ledger does not know fails"},
		mutant{name: "del-keeps-record", cases: []string{"DEL-02"}, daemon: delKeepsRecord,
			fault: "the record stays after DEL"},
		mutant{name: "del-fails-without-netns", cases: []string{"DEL-03"}, daemon: onGoneNetns(func() error {
			return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_NETNS does not exist", "")
		}), fault: "a DEL without a namespace fails"},
		mutant{name: "del-skips-without-netns", cases: []string{"DEL-03"}, daemon: onGoneNetns(func() error { return nil }),
			fault: "a DEL without a namespace succeeds and does nothing"},
		mutant{name: "del-config-of-now", cases: []string{"DEL-04"}, daemon: configOfNow("DEL"),
			fault: "DEL uses the network definitions as they are now"},
		mutant{name: "del-runtime-config-missing", cases: []string{"DEL-04"}, daemon: onConf("DEL", func(_ *plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
			fault: "delegates get no runtimeConfig at DEL"},
		mutant{name: "del-args-missing", cases: []string{"DEL-04"}, daemon: onVariables("DEL", func(p *plugin) { p.set("CNI_ARGS", "") }),
			fault: "delegates get no CNI_ARGS at DEL"},
		mutant{name: "del-prev-result-missing", cases: []string{"DEL-05"}, daemon: onConf("DEL", dropPrevResult),
			fault: "delegates get no prevResult at DEL"},
		mutant{name: "results-lost-at-restart", cases: []string{"DEL-05", "CHECK-02"}, daemon: onFormerRecord(withoutResults),
			fault: "the results of ADD do not survive a restart"},
		mutant{name: "results-lost-when-killed", cases: []string{"DEL-05"}, daemon: resultsWhenAdded,
			fault: "the results of an ADD are recorded when all its delegates have run"},
		mutant{name: "del-stops-at-first-error", cases: []string{"DEL-06"}, daemon: delStopsAtFirstError,
			fault: "a delegate that fails at DEL ends the DEL"},
		mutant{name: "del-error-swallowed", cases: []string{"DEL-06"}, daemon: delErrorSwallowed,
			fault: "a delegate that fails at DEL is not reported"},
		mutant{name: "del-forgets-failed", cases: []string{"DEL-06"}, daemon: delForgetsFailed,
			fault: "what failed at DEL is not tried again"},
		mutant{name: "del-damaged-fails", cases: []string{"DEL-07"}, daemon: onDamaged(func(err *ledger.DamagedError) error { return err }),
			fault: "a DEL whose record is damaged fails for ever"},
		mutant{name: "del-damaged-forgotten", cases: []string{"DEL-07"}, daemon: onDamaged(func(*ledger.DamagedError) error { return nil }),
			fault: "a DEL whose record is damaged succeeds and does nothing"},
		mutant{name: "damaged-record-removed", cases: []string{"DEL-07"}, daemon: damagedRemoved,
			fault: "damaged records are not kept"},
		mutant{name: "damaged-record-stops-daemon", cases: []string{"DEL-07"}, unserved: true, daemon: damagedStopsDaemon,
			fault: "the daemon does not start while there is a damaged record"},
		mutant{name: "damaged-record-harms-others", cases: []string{"DEL-07"}, daemon: damagedHarmsOthers,
			fault: "CHECK of any container fails while there is a damaged record"},
		mutant{name: "del-refused-during-add", cases: []string{"DEL-08"}, daemon: delRefusedDuringAdd,
			fault: "a DEL during the container's ADD fails"},
		mutant{name: "del-forgotten-during-add", cases: []string{"DEL-08"}, daemon: delForgottenDuringAdd,
			fault: "a DEL during the container's ADD succeeds at once, and the ADD goes on"},
		mutant{name: "del-needs-pod", cases: []string{"DEL-09", "DEL-04"}, daemon: delNeedsPod,
			fault: "DEL looks the pod up first"},
		mutant{name: "del-waits-for-cluster", cases: []string{"DEL-09"}, daemon: delWaitsForCluster,
			fault: "DEL waits until the cluster is known"},
	)
}

// onDelete changes a record whose DEL begins; a rollback is none.
func onDelete(f func(rec *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		var adding sync.Map
		a.onRecords(func(r *records, next attach.Ledger) {
			r.begin = func(rec *ledger.Record) error {
				adding.Store(rec.ContainerID, true)
				return next.Begin(rec)
			}
			r.save = func(rec *ledger.Record) error {
				if _, rollback := adding.LoadAndDelete(rec.ContainerID); !rollback && rec.State == ledger.StateDeleting && len(rec.Attachments) > 0 {
					f(rec)
				}
				return next.Save(rec)
			}
		})
	}
}

// onDel replaces DEL.
func (a *assembly) onDel(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.del = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
	})
}

func delUnknownFails(a *assembly) {
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if _, err := o.Ledger.Load(r.ContainerID); errors.Is(err, ledger.ErrNotFound) {
			return types.NewError(types.ErrUnknownContainer, err.Error(), "")
		}
		return next.Del(ctx, r)
	})
}

func delKeepsRecord(a *assembly) {
	a.onRecords(func(r *records, _ attach.Ledger) { r.remove = func(string) error { return nil } })
}

// onGoneNetns replaces the DEL of a sandbox whose namespace is not there.
func onGoneNetns(f func() error) func(*assembly) {
	return func(a *assembly) {
		a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			_, err := o.Ledger.Load(r.ContainerID)
			if _, gone := os.Stat(r.Netns); gone != nil && err == nil {
				return f()
			}
			return next.Del(ctx, r)
		})
	}
}

// planOfNow is what an ADD would attach now.
func planOfNow(ctx context.Context, o attach.Options, r *attach.Request) ([]network.Delegate, error) {
	pod, err := o.Cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name)
	if err != nil {
		return nil, err
	}
	return o.Planner.Plan(ctx, pod, r.Interface, r.RuntimeConfig)
}

// configOfNow replaces the recorded configurations before a command.
func configOfNow(command string) func(*assembly) {
	return func(a *assembly) {
		a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
			refresh := func(ctx context.Context, r *attach.Request) error {
				rec, err := o.Ledger.Load(r.ContainerID)
				if err != nil {
					return nil //nolint:nilerr // nothing to refresh
				}
				now, err := planOfNow(ctx, o, r)
				if err != nil {
					return err
				}
				for i := range now {
					if at := rec.Find(now[i].Interface); at >= 0 {
						rec.Attachments[at].Config = string(now[i].Config)
					}
				}
				return o.Ledger.Save(rec)
			}
			if command == "CHECK" {
				h.check = func(ctx context.Context, r *attach.Request) error {
					return errors.Join(refresh(ctx, r), next.Check(ctx, r))
				}
				return
			}
			h.del = func(ctx context.Context, r *attach.Request) error {
				if err := refresh(ctx, r); err != nil {
					return err
				}
				return next.Del(ctx, r)
			}
		})
	}
}

func withoutResults(rec *ledger.Record) {
	for i := range rec.Attachments {
		rec.Attachments[i].Result = nil
	}
}

func resultsWhenAdded(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.save = func(rec *ledger.Record) error {
			if rec.State == ledger.StateAdding {
				return nil
			}
			return next.Save(rec)
		}
	})
}

func delStopsAtFirstError(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.commandOfRequest() == "DEL" && p.request.lost() {
			return nil, errors.New("an earlier delegate has failed")
		}
		out, err := run(ctx, p)
		if p.commandOfRequest() == "DEL" && err != nil {
			p.request.lose()
		}
		return out, err
	})
}

func delErrorSwallowed(a *assembly) {
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if p.commandOfRequest() == "DEL" {
			return out, nil
		}
		return out, err
	})
}

func delForgetsFailed(a *assembly) {
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		err := next.Del(ctx, r)
		if err != nil {
			_ = o.Ledger.Remove(r.ContainerID)
		}
		return err
	})
}

// onDamaged replaces the DEL of a container whose record is damaged.
func onDamaged(f func(*ledger.DamagedError) error) func(*assembly) {
	return func(a *assembly) {
		a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			_, err := o.Ledger.Load(r.ContainerID)
			var damaged *ledger.DamagedError
			if errors.As(err, &damaged) {
				return f(damaged)
			}
			return next.Del(ctx, r)
		})
	}
}

// damaged lists the files of the ledger that cannot be read.
func damaged(cniDir string) []string {
	entries, _ := ledger.List(cniDir)
	var paths []string
	for _, e := range entries {
		if e.Err != nil {
			paths = append(paths, recordPath(cniDir, e.ContainerID))
		}
	}
	return paths
}

func recordPath(cniDir, containerID string) string {
	return filepath.Join(cniDir, "ledger", containerID+".json")
}

func damagedRemoved(a *assembly) {
	a.onStart(func() error {
		for _, path := range damaged(a.config.CNIDir) {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return nil
	})
}

func damagedStopsDaemon(a *assembly) {
	a.onStart(func() error {
		if all := damaged(a.config.CNIDir); len(all) > 0 {
			return fmt.Errorf("damaged records: %v", all)
		}
		return nil
	})
}

func damagedHarmsOthers(a *assembly) {
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.check = func(ctx context.Context, r *attach.Request) error {
			kept, _ := filepath.Glob(filepath.Join(a.config.CNIDir, "ledger", "damaged", "*.json"))
			if len(kept) > 0 {
				return types.NewError(types.ErrInternal, fmt.Sprintf("the ledger is damaged: %v", kept), "")
			}
			return next.Check(ctx, r)
		}
	})
}

// duringAdd replaces a DEL that comes while an ADD of the container runs.
func duringAdd(a *assembly, f func() error) {
	var adding sync.Map
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			adding.Store(r.ContainerID, true)
			defer adding.Delete(r.ContainerID)
			return next.Add(ctx, r)
		}
		h.del = func(ctx context.Context, r *attach.Request) error {
			if _, running := adding.Load(r.ContainerID); running {
				return f()
			}
			return next.Del(ctx, r)
		}
	})
}

func delRefusedDuringAdd(a *assembly) {
	duringAdd(a, func() error { return types.NewError(types.ErrTryAgainLater, "an ADD of the container runs", "") })
}

func delForgottenDuringAdd(a *assembly) { duringAdd(a, func() error { return nil }) }

func delNeedsPod(a *assembly) {
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if _, err := o.Cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name); err != nil {
			return err
		}
		return next.Del(ctx, r)
	})
}

func delWaitsForCluster(a *assembly) {
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		select {
		case <-o.Cluster.Ready():
			return next.Del(ctx, r)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}
