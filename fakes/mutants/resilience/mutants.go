// SPDX-License-Identifier: Apache-2.0

package resilience

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

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile resilience: what outlives a daemon, a node and a full disk.
var mutants = []mutant.Mutant{
	{Name: "record-after-delegates", Cases: []string{"RES-01"}, Daemon: recordAfterDelegates,
		Fault: "an ADD is recorded when its delegates have run"},
	{Name: "record-removed-first", Cases: []string{"RES-01"}, Daemon: recordRemovedFirst,
		Fault: "DEL removes the record before the delegates run"},
	{Name: "replay-missing", Cases: []string{"RES-01", "RES-02"}, Daemon: replayNothing,
		Fault: "a daemon does not go through what a former one left: it waits for the runtime's DELs"},
	{Name: "reboot-releases-once", Cases: []string{"RES-02"}, Daemon: replayOnce,
		Fault: "what could not be released after a reboot is not tried again"},
	{Name: "reboot-forgets", Cases: []string{"RES-02"}, Daemon: replayForgets,
		Fault: "after a reboot the records are removed, and no delegate releases what it holds"},
	{Name: "boot-id-ignored", Cases: []string{"RES-02"}, Daemon: seam.OnLoaded(func(rec *ledger.Record) { rec.BootID = "" }),
		Fault: "a reboot is told by missing namespaces alone, not by the boot id"},
	{Name: "reboot-enters-namespaces", Cases: []string{"RES-02"}, Daemon: seam.OnLoaded(func(rec *ledger.Record) {
		if now, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && rec.BootID != strings.TrimSpace(string(now)) {
			rec.BootID, rec.State = "", ledger.StateDeleting
		}
	}), Fault: "after a reboot the namespace at a lost sandbox's path is taken for its own"},
	{Name: "full-disk-not-noticed", Cases: []string{"RES-03"}, Daemon: fullDiskNotNoticed,
		Fault: "an ADD that cannot be recorded runs its delegates"},
	{Name: "full-disk-stops-del", Cases: []string{"RES-03"}, Daemon: fullDiskStopsDel,
		Fault: "a DEL that cannot be recorded fails"},
	{Name: "full-disk-keeps-records", Cases: []string{"RES-03"}, Daemon: fullDiskKeepsRecords,
		Fault: "space is needed to remove a record"},
	{Name: "multus-unread", Cases: []string{"RES-05"}, Daemon: onMultus(func([]ledger.MultusDelegate) []ledger.MultusDelegate { return nil }),
		Fault: "Multus' records are not read"},
	{Name: "multus-kept", Cases: []string{"RES-05"}, Daemon: multusKept,
		Fault: "Multus' record of a sandbox stays after its DEL"},
	{Name: "multus-lost-kept", Cases: []string{"RES-05"}, Daemon: multusLostKept,
		Fault: "what Multus attached is not released when its sandbox is gone"},
	{Name: "multus-interfaces-ignored", Cases: []string{"RES-05"}, Daemon: onMultus(func(all []ledger.MultusDelegate) []ledger.MultusDelegate {
		for i := range all {
			all[i].IfnameRequest = ""
		}
		return all
	}), Fault: "the interfaces that Multus was asked for are taken for net1, net2, …"},
	{Name: "admission-refuses", Cases: []string{"RES-06"}, Daemon: admissionRefuses,
		Fault: "ADDs that there is no room for are put off with code 11 in place of waiting"},
}

// recordAfterDelegates keeps nothing at Begin; the record of the success is the
// first one.
func recordAfterDelegates(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(*ledger.Record) error { return nil }
		r.OnSave = func(rec *ledger.Record) error {
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
func recordRemovedFirst(a *seam.Assembly) {
	var begun sync.Map
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnSave = func(rec *ledger.Record) error {
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
		r.OnRemove = func(containerID string) error {
			begun.Delete(containerID)
			return next.Remove(containerID)
		}
	})
}

func replayNothing(a *seam.Assembly) {
	a.OnReplay(func(context.Context, func(), daemon.Engine, attach.Options) {})
}

func replayOnce(a *seam.Assembly) {
	a.OnReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, _ attach.Options) {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		next.Replay(ctx, func() {
			firstPass()
			stop()
		})
	})
}

// replayForgets forgets the sandboxes whose namespace is gone.
func replayForgets(a *seam.Assembly) {
	a.OnReplay(func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options) {
		ids, _ := o.Ledger.Containers()
		for _, id := range ids {
			if rec, err := o.Ledger.Load(id); err == nil && !seam.Exists(rec.Netns) {
				_ = o.Ledger.Remove(id)
			}
		}
		next.Replay(ctx, firstPass)
	})
}

func fullDiskNotNoticed(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			_ = next.Begin(rec)
			return nil
		}
	})
}

// fullDiskStopsDel notes each DEL in a file of its own before it begins.
func fullDiskStopsDel(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
		note := filepath.Join(a.Config.CNIDir, ".deleting-"+r.ContainerID)
		defer func() { _ = os.Remove(note) }()
		if err := os.WriteFile(note, []byte(r.ContainerID), 0o600); err != nil {
			return types.NewError(types.ErrTryAgainLater, "the DEL cannot be recorded", err.Error())
		}
		return next.Del(ctx, r)
	})
}

// fullDiskKeepsRecords writes a note of what it is about to remove.
func fullDiskKeepsRecords(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnRemove = func(containerID string) error {
			note := filepath.Join(a.Config.CNIDir, ".removing-"+containerID)
			defer func() { _ = os.Remove(note) }()
			if err := os.WriteFile(note, []byte(containerID), 0o600); err != nil {
				return err
			}
			return next.Remove(containerID)
		}
	})
}

// onMultus changes what Multus recorded; nothing means that there is none.
func onMultus(f func(all []ledger.MultusDelegate) []ledger.MultusDelegate) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.Multus = func(containerID string) ([]ledger.MultusDelegate, error) {
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
func multusKept(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnRemove = func(containerID string) error {
			file := filepath.Join(a.Config.CNIDir, containerID)
			data, missing := os.ReadFile(file)
			err := next.Remove(containerID)
			if missing == nil {
				err = errors.Join(err, os.WriteFile(file, data, 0o600))
			}
			return err
		}
	})
}

func multusLostKept(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return multusUnlisted{next} })
}

// multusUnlisted is a ledger that finds Multus' records by id only.
type multusUnlisted struct{ attach.Ledger }

// MultusContainers implements attach.Ledger.
func (multusUnlisted) MultusContainers() ([]string, error) { return nil, nil }

func admissionRefuses(a *seam.Assembly) {
	const room = 32
	slots := make(chan struct{}, room)
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.Command() != "ADD" {
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
