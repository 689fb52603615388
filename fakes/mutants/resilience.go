// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile resilience: what outlives a daemon, a node and a full disk.
func init() {
	register(
		mutant{name: "record-after-delegates", cases: []string{"RES-01"}, daemon: recordAfterDelegates,
			fault: "an ADD is recorded when its delegates have run"},
		mutant{name: "record-removed-first", cases: []string{"RES-01"}, daemon: recordRemovedFirst,
			fault: "DEL removes the record before the delegates run"},
		mutant{name: "replay-missing", cases: []string{"RES-01", "RES-02"}, daemon: replayNothing,
			fault: "a daemon does not go through what a former one left: it waits for the runtime's DELs"},
		mutant{name: "reboot-releases-once", cases: []string{"RES-02"}, daemon: replayOnce,
			fault: "what could not be released after a reboot is not tried again"},
		mutant{name: "reboot-forgets", cases: []string{"RES-02"}, daemon: replayForgets,
			fault: "after a reboot the records are removed, and no delegate releases what it holds"},
		mutant{name: "boot-id-ignored", cases: []string{"RES-02"}, daemon: onLoaded(func(rec *ledger.Record) { rec.BootID = "" }),
			fault: "a reboot is told by missing namespaces alone, not by the boot id"},
		mutant{name: "reboot-enters-namespaces", cases: []string{"RES-02"}, daemon: onLoaded(func(rec *ledger.Record) {
			if now, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && rec.BootID != strings.TrimSpace(string(now)) {
				rec.BootID, rec.State = "", ledger.StateDeleting
			}
		}), fault: "after a reboot the namespace at a lost sandbox's path is taken for its own"},
		mutant{name: "full-disk-not-noticed", cases: []string{"RES-03"}, daemon: fullDiskNotNoticed,
			fault: "an ADD that cannot be recorded runs its delegates"},
		mutant{name: "full-disk-stops-del", cases: []string{"RES-03"}, daemon: fullDiskStopsDel,
			fault: "a DEL that cannot be recorded fails"},
		mutant{name: "full-disk-keeps-records", cases: []string{"RES-03"}, daemon: fullDiskKeepsRecords,
			fault: "space is needed to remove a record"},
		mutant{name: "multus-unread", cases: []string{"RES-05"}, daemon: onMultus(func([]ledger.MultusDelegate) []ledger.MultusDelegate { return nil }),
			fault: "Multus' records are not read"},
		mutant{name: "multus-kept", cases: []string{"RES-05"}, daemon: multusKept,
			fault: "Multus' record of a sandbox stays after its DEL"},
		mutant{name: "multus-lost-kept", cases: []string{"RES-05"}, daemon: multusLostKept,
			fault: "what Multus attached is not released when its sandbox is gone"},
		mutant{name: "multus-interfaces-ignored", cases: []string{"RES-05"}, daemon: onMultus(func(all []ledger.MultusDelegate) []ledger.MultusDelegate {
			for i := range all {
				all[i].IfnameRequest = ""
			}
			return all
		}), fault: "the interfaces that Multus was asked for are taken for net1, net2, …"},
		mutant{name: "admission-refuses", cases: []string{"RES-06"}, daemon: admissionRefuses,
			fault: "ADDs that there is no room for are put off with code 11 in place of waiting"},
	)
}

// recordAfterDelegates keeps nothing at Begin; the record of the success is the
// first one.
func recordAfterDelegates(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.begin = func(*ledger.Record) error { return nil }
		r.save = func(rec *ledger.Record) error {
			switch rec.State {
			case ledger.StateAdding:
				return nil
			case ledger.StateAdded:
				return next.Begin(rec)
			}
			return next.Save(rec)
		}
	})
}

// recordRemovedFirst removes the record in place of noting that its DEL began.
func recordRemovedFirst(a *assembly) {
	var begun sync.Map
	a.onRecords(func(r *records, next attach.Ledger) {
		r.save = func(rec *ledger.Record) error {
			if rec.State != ledger.StateDeleting {
				return next.Save(rec)
			}
			if _, again := begun.LoadOrStore(rec.ContainerID, true); again {
				// A delegate failed: what is left is recorded.
				begun.Delete(rec.ContainerID)
				return next.Save(rec)
			}
			return next.Remove(rec.ContainerID)
		}
		r.remove = func(containerID string) error {
			begun.Delete(containerID)
			return next.Remove(containerID)
		}
	})
}

// onReplay replaces the replay.
func (a *assembly) onReplay(f func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options)) {
	a.hook(func(h *hooks, next daemon.Engine, o attach.Options) {
		h.replay = func(ctx context.Context, firstPass func()) { f(ctx, firstPass, next, o) }
	})
}

func replayNothing(a *assembly) {
	a.onReplay(func(context.Context, func(), daemon.Engine, attach.Options) {})
}

func replayOnce(a *assembly) {
	a.onReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, _ attach.Options) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		next.Replay(ctx, func() {
			firstPass()
			stop()
		})
	})
}

// replayForgets forgets the sandboxes whose namespace is gone.
func replayForgets(a *assembly) {
	a.onReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
		ids, _ := o.Ledger.Containers()
		for _, id := range ids {
			if rec, err := o.Ledger.Load(id); err == nil && !exists(rec.Netns) {
				_ = o.Ledger.Remove(id)
			}
		}
		next.Replay(ctx, firstPass)
	})
}

// onLoaded changes each record that is loaded.
func onLoaded(f func(rec *ledger.Record)) func(*assembly) {
	return func(a *assembly) {
		a.onRecords(func(r *records, next attach.Ledger) {
			r.load = func(containerID string) (*ledger.Record, error) {
				rec, err := next.Load(containerID)
				if err == nil {
					f(rec)
				}
				return rec, err
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func fullDiskNotNoticed(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.begin = func(rec *ledger.Record) error {
			_ = next.Begin(rec)
			return nil
		}
	})
}

// fullDiskStopsDel insists on recording that a DEL begins.
func fullDiskStopsDel(a *assembly) {
	a.onDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		if rec, err := o.Ledger.Load(r.ContainerID); err == nil {
			rec.State = ledger.StateDeleting
			if err := o.Ledger.Save(rec); err != nil {
				return types.NewError(types.ErrTryAgainLater, "the DEL cannot be recorded", err.Error())
			}
		}
		return next.Del(ctx, r)
	})
}

// fullDiskKeepsRecords writes a note of what it is about to remove.
func fullDiskKeepsRecords(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.remove = func(containerID string) error {
			note := filepath.Join(a.config.CNIDir, ".removing-"+containerID)
			defer func() { _ = os.Remove(note) }()
			if err := os.WriteFile(note, []byte(containerID), 0o600); err != nil {
				return err
			}
			return next.Remove(containerID)
		}
	})
}

// onMultus changes what Multus recorded; nothing is no record.
func onMultus(f func(all []ledger.MultusDelegate) []ledger.MultusDelegate) func(*assembly) {
	return func(a *assembly) {
		a.onRecords(func(r *records, next attach.Ledger) {
			r.multus = func(containerID string) ([]ledger.MultusDelegate, error) {
				all, err := next.LoadMultus(containerID)
				if err != nil {
					return nil, err
				}
				if all = f(slices.Clone(all)); all == nil {
					return nil, ledger.ErrNotFound
				}
				return all, nil
			}
		})
	}
}

// multusKept puts Multus' record back when it was removed with the ledger's.
func multusKept(a *assembly) {
	a.onRecords(func(r *records, next attach.Ledger) {
		r.remove = func(containerID string) error {
			file := filepath.Join(a.config.CNIDir, containerID)
			data, missing := os.ReadFile(file)
			err := next.Remove(containerID)
			if missing == nil {
				err = errors.Join(err, os.WriteFile(file, data, 0o600))
			}
			return err
		}
	})
}

func multusLostKept(a *assembly) {
	a.wrapLedger(func(next attach.Ledger) attach.Ledger { return multusUnlisted{next} })
}

// multusUnlisted is a ledger that finds Multus' records by id only.
type multusUnlisted struct{ attach.Ledger }

// MultusContainers implements attach.Ledger.
func (multusUnlisted) MultusContainers() ([]string, error) { return nil, nil }

func admissionRefuses(a *assembly) {
	const room = 32
	slots := make(chan struct{}, room)
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.command() != "ADD" {
			return run(ctx, p)
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			return run(ctx, p)
		default:
			return nil, types.NewError(types.ErrTryAgainLater, fmt.Sprintf("%d plugins run already", room), "")
		}
	})
}
