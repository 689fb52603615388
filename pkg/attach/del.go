// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Del removes every attachment that a sandbox got with the ADD of the same
// interface name, in reverse order of ADD, with what the ledger says of each (DEL-01, DEL-04). Of a container that the ledger
// does not know it deletes what can be known (DEL-10). It ends an ADD of the same
// container that is still running (DEL-08), and once it has begun it goes on when
// its client leaves: half a DEL helps nobody.
func (e *Engine) Del(ctx context.Context, r *Request) error {
	e.locks.supersede(r.ContainerID, r.Interface)
	release, err := e.lock(ctx, r.ContainerID)
	if err != nil {
		return err
	}
	defer release()
	ctx, done := e.turns.with(ctx)
	defer done()
	if err := e.takeTurn(ctx, r.ContainerID); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)

	rec, err := e.load(r.ContainerID, r.Interface)
	var damaged *ledger.DamagedError
	switch {
	case errors.Is(err, ledger.ErrNotFound) && e.deleted.has(r.ContainerID):
		return nil
	case errors.Is(err, ledger.ErrNotFound):
		return e.delWithoutRecord(ctx, r, false)
	case errors.As(err, &damaged):
		return e.delWithoutRecord(ctx, r, true)
	case err != nil:
		return types.NewError(types.ErrTryAgainLater, "the container's record cannot be read", err.Error())
	}
	return e.forgetPart(ctx, rec, r.Interface, r.Netns)
}

// forget deletes all that a record lists, and then what was published of it.
func (e *Engine) forget(ctx context.Context, rec *ledger.Record, netns string) error {
	noted := e.noteWithdrawal(rec)
	defer noted() // also after a panic: what it does needs the container's lock
	if err := e.detach(ctx, rec, netns, noted); err != nil {
		noted()
		e.forgetWithdrawal(rec.ContainerID)
		return err
	}
	e.unpublish(ctx, rec)
	return nil
}

// detach runs DEL for every attachment of a record, last first. One that fails
// does not stop the others; it stays in the record, so that a later DEL tries
// it again, and the first such error is returned (DEL-06). When none is left,
// the record is removed, after what noted waits for: a daemon that is killed
// meanwhile leaves one of the two. netns is the path that is asked for.
func (e *Engine) detach(ctx context.Context, rec *ledger.Record, netns string, noted func()) error {
	netns, err := e.netnsForDel(rec, netns)
	if err != nil {
		return err
	}
	rec.State = ledger.StateDeleting
	if err := e.save(ctx, rec); err != nil {
		// A full disk must not keep anything from being deleted (RES-03): the
		// older record says enough to do it again.
		e.log.Warn("DEL goes on without a record of having begun", "sandbox", rec.ContainerID, "error", err)
	}
	var first error
	var left []ledger.Attachment
	for i := len(rec.Attachments) - 1; i >= 0; i-- {
		if err := e.detachOne(ctx, rec, &rec.Attachments[i], netns); err != nil {
			e.log.Error("delegate failed at DEL", "sandbox", rec.ContainerID, "network", rec.Attachments[i].Network,
				"interface", rec.Attachments[i].Interface, "error", err)
			left = append(left, rec.Attachments[i])
			if first == nil {
				first = err
			}
		}
	}
	if first == nil {
		noted()
		e.deleted.add(rec.ContainerID)
		return cniError(e.remove(ctx, rec.ContainerID), "ledger")
	}
	slices.Reverse(left)
	rec.Attachments = left
	if err := e.save(ctx, rec); err != nil {
		e.log.Warn("what is left to delete cannot be recorded; the older record lists it too", "sandbox", rec.ContainerID, "error", err)
	}
	return first
}

// detachOne deletes one attachment. Its panic is an error like another's, so
// that the other attachments are deleted (SEC-08).
func (e *Engine) detachOne(ctx context.Context, rec *ledger.Record, a *ledger.Attachment, netns string) error {
	return background.Try(e.log, "DEL of interface "+a.Interface, func() error { return e.detachDelegates(ctx, rec, a, netns) })
}

func (e *Engine) detachDelegates(ctx context.Context, rec *ledger.Record, a *ledger.Attachment, netns string) error {
	if strings.ContainsRune(a.Interface, 0) {
		// An earlier version recorded it; no plugin was ever given such a name (SEC-10).
		return nil
	}
	c, err := e.call(rec, a, netns)
	if err != nil {
		return err
	}
	if err := e.del(ctx, c); err != nil {
		return err
	}
	return e.removeDeviceInfo(rec.ContainerID, a)
}
