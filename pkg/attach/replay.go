// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

const (
	// replayWorkers is how many sandboxes are cleaned up side by side: enough
	// to be done soon after a reboot, few enough to leave room for requests.
	replayWorkers = 4
	// replayRetryMin and replayRetryMax bound the pause before those that
	// failed are tried again; it doubles each time.
	replayRetryMin = time.Second
	replayRetryMax = 5 * time.Minute
)

// Replay goes through the ledger as a former daemon, perhaps of a former boot,
// left it. Sandboxes that cannot exist any more, because the node was booted
// since or their network namespace is gone, are deleted without being asked
// (RES-02); those whose ADD or DEL was interrupted are deleted to their end
// (RES-01). The others are left alone.
//
// firstPass is called when each has been tried once. What fails stays in the
// ledger and is tried again, with growing pauses, until ctx ends or nothing is
// left to do.
func (e *Engine) Replay(ctx context.Context, firstPass func()) {
	e.notePublished()
	pause := replayRetryMin
	for first := true; ; first = false {
		left := e.replayOnce(ctx)
		e.unfinished.Store(int64(left))
		if first {
			firstPass()
		}
		if left == 0 || ctx.Err() != nil {
			return
		}
		e.log.Error("sandboxes of an earlier daemon could not be deleted; they stay in the ledger and are tried again",
			"sandboxes", left, "in", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, replayRetryMax)
		}
	}
}

// Unfinished is how many sandboxes of an earlier daemon Replay has tried and not
// been able to delete yet.
func (e *Engine) Unfinished() int { return int(e.unfinished.Load()) }

// notePublished remembers whose status the pods show, so that deleting an old
// sandbox of a pod does not take the status of its present one away.
func (e *Engine) notePublished() {
	ids, err := e.containers()
	if err != nil {
		return // replayOnce says so
	}
	for _, id := range ids {
		if rec, err := e.load(id, ""); err == nil && e.stale(rec) == "" {
			e.published.Store(podKey(rec.Pod), id)
		}
	}
}

// replayOnce tries every sandbox that needs it and returns how many still do.
func (e *Engine) replayOnce(ctx context.Context) (left int) {
	ids, err := e.containers()
	if err != nil {
		e.log.Error("the ledger cannot be replayed", "error", err)
		return 1
	}
	var mu sync.Mutex
	workers := background.Group{Log: e.log}
	slots := make(chan struct{}, replayWorkers)
	for _, id := range ids {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		workers.Start("replay", func() {
			defer func() { <-slots }()
			err := background.Try(e.log, "replay of sandbox "+id, func() error { return e.replaySandbox(ctx, id) })
			if err != nil {
				e.log.Error("replay failed", "sandbox", id, "error", err)
				mu.Lock()
				defer mu.Unlock()
				left++
			}
		})
	}
	workers.Wait()
	return left
}

func (e *Engine) replaySandbox(ctx context.Context, id string) error {
	release, err := e.lock(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	rec, err := e.load(id, "")
	var damaged *ledger.DamagedError
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil // a request was faster
	case errors.As(err, &damaged):
		return nil // set aside and logged; the runtime's DEL falls back on the configuration
	case err != nil:
		return err
	}
	why := e.stale(rec)
	if why == "" {
		return nil
	}
	e.log.Info("deleting a sandbox of an earlier daemon", "sandbox", id, "pod", podKey(rec.Pod), "reason", why)
	if err := e.stopOrphans(ctx, rec); err != nil {
		return err
	}
	netns := rec.Netns
	if e.rebooted(rec) || !e.sameNetns(rec) {
		// The path may lead to somebody else's namespace by now, after a reboot
		// to one with the same number, too: those begin anew.
		netns = ""
	}
	return e.forget(context.WithoutCancel(ctx), rec, netns)
}

// stale says why a sandbox has to be deleted, "" when it has not.
func (e *Engine) stale(rec *ledger.Record) string {
	switch {
	case e.rebooted(rec):
		return "the node was booted since"
	case rec.State == ledger.StateAdding:
		return "its ADD was interrupted"
	case rec.State == ledger.StateDeleting:
		return "its DEL was interrupted"
	case rec.Netns != "" && !e.sameNetns(rec):
		return "its network namespace is gone"
	}
	return ""
}

// rebooted says whether the record is of a former boot of the node.
func (e *Engine) rebooted(rec *ledger.Record) bool {
	return rec.BootID != "" && e.bootID != "" && rec.BootID != e.bootID
}

// sameNetns says whether the record's namespace is still at its path.
func (e *Engine) sameNetns(rec *ledger.Record) bool {
	now := inode(rec.Netns)
	return now != 0 && (rec.NetnsInode == 0 || now == rec.NetnsInode)
}
