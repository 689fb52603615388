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
	// unseenPause is how often it is looked whether namespaces have come into
	// view, which costs a few system calls per sandbox.
	unseenPause = 250 * time.Millisecond
)

// Replay goes through the ledger as a former daemon, perhaps of a former boot,
// left it. Sandboxes that cannot exist any more, because the node was booted
// since or their network namespace is gone, are deleted without being asked
// (RES-02); those whose ADD or DEL was interrupted are deleted to their end
// (RES-01). The others are left alone. As long as the daemon does not see where
// a sandbox's namespace is, nothing of this boot is deleted (RES-09).
//
// firstPass is called when each has been tried once. What fails stays in the
// ledger and is tried again, with growing pauses, until ctx ends or nothing is
// left to do.
func (e *Engine) Replay(ctx context.Context, firstPass func()) {
	e.noted.Do(e.notePublished)
	if !e.awaitNamespaces(ctx) {
		return
	}
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

// awaitNamespaces returns when the namespaces of all recorded sandboxes are seen
// or known to be gone; false means that ctx ended before.
func (e *Engine) awaitNamespaces(ctx context.Context) bool {
	tick := time.NewTicker(unseenPause)
	defer tick.Stop()
	for e.survey() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// Unfinished is how many sandboxes of an earlier daemon Replay has tried and not
// been able to delete yet.
func (e *Engine) Unfinished() int { return int(e.unfinished.Load()) }

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
	ctx, done := e.turns.with(ctx)
	defer done()
	if err := e.takeTurn(ctx, id); err != nil {
		return err
	}
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
	if why == "" && rec.State == ledger.StateAdded && e.look(rec) != namespaceUnseen {
		return e.finishHotPlugs(ctx, rec)
	}
	if why == "" {
		return nil
	}
	e.log.Info("deleting a sandbox of an earlier daemon", "sandbox", id, "pod", podKey(rec.Pod), "reason", why)
	if err := e.stopOrphans(ctx, rec); err != nil {
		return err
	}
	return e.forget(context.WithoutCancel(ctx), rec, rec.Netns)
}

// stale says why a sandbox has to be deleted, "" when it has not.
func (e *Engine) stale(rec *ledger.Record) string {
	if e.rebooted(rec) {
		return "the node was booted since"
	}
	seen := e.look(rec)
	switch {
	case seen == namespaceUnseen:
		return ""
	case rec.State == ledger.StateAdding:
		return "its ADD was interrupted"
	case rec.State == ledger.StateDeleting:
		return "its DEL was interrupted"
	case seen == namespaceGone:
		return "its network namespace is gone"
	}
	return ""
}

// rebooted says whether the record is of a former boot of the node.
func (e *Engine) rebooted(rec *ledger.Record) bool {
	return rec.BootID != "" && e.bootID != "" && rec.BootID != e.bootID
}
