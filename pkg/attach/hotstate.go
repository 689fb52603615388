// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// A hot-plug is as safe from crashes as an ADD (HOT-10): its attachment's state
// is recorded before delegates run. One that a crash, or a disk that could not
// be written, left unfinished is not part of the sandbox: CHECK and the status
// pass over it, the same request begins anew, and the replay deletes it.

// markUnfinished finds the attachments that a daemon before attachments had
// states has left: hot-plugged, and without the result that every one has.
func markUnfinished(rec *ledger.Record) {
	if rec.Schema != 1 || rec.State != ledger.StateAdded {
		return
	}
	for i := range rec.Attachments {
		if a := &rec.Attachments[i]; a.HotPlugged && len(a.Result) == 0 {
			a.State = ledger.AttachmentAdding
		}
	}
}

// begunBefore returns the index of what an earlier request left of the same
// hot-plug, -1 for nothing: an attachment that is unfinished, or one whose
// client did not get the answer and asks again.
func begunBefore(rec *ledger.Record, r *Request, d *network.Delegate) int {
	at := rec.Find(r.Interface)
	if at < 0 {
		return -1
	}
	a := &rec.Attachments[at]
	if a.State != "" || a.Unanswered && a.Config == string(d.Config) {
		return at
	}
	return -1
}

// unfinished counts the attachments of a sandbox that are.
func unfinished(rec *ledger.Record) int {
	count := 0
	for i := range rec.Attachments {
		if rec.Attachments[i].State != "" {
			count++
		}
	}
	return count
}

// finishHotPlugs deletes what requests of an earlier daemon left unfinished in a
// sandbox that is attached otherwise.
func (e *Engine) finishHotPlugs(ctx context.Context, rec *ledger.Record) error {
	if unfinished(rec) == 0 {
		return nil
	}
	e.log.Info("deleting what interrupted hot-plugs left", "sandbox", rec.ContainerID, "pod", podKey(rec.Pod), "attachments", unfinished(rec))
	if err := e.stopOrphans(ctx, rec); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	var failures []error
	for at := len(rec.Attachments) - 1; at >= 0; at-- {
		if rec.Attachments[at].State == "" {
			continue
		}
		if err := e.drop(ctx, rec, at, rec.Netns); err != nil {
			failures = append(failures, err)
		}
	}
	e.republish(ctx, rec)
	return errors.Join(failures...)
}

// dropBegun deletes what an earlier request left of the same hot-plug.
func (e *Engine) dropBegun(ctx context.Context, rec *ledger.Record, at int, netns string) error {
	e.log.Info("deleting what an interrupted hot-plug left", "sandbox", rec.ContainerID, "interface", rec.Attachments[at].Interface)
	if err := e.stopOrphans(ctx, rec); err != nil {
		return types.NewError(types.ErrTryAgainLater, "the delegates of an earlier request still run", err.Error())
	}
	return e.drop(context.WithoutCancel(ctx), rec, at, netns)
}

// HotAnswered records that the client of a hot-plug has its answer. Without
// that, the client's next request for the same is taken for its second attempt.
func (e *Engine) HotAnswered(ctx context.Context, r *Request) {
	unlock, err := e.locks.acquireAside(ctx, r.ContainerID)
	if err != nil {
		return
	}
	rec, release, err := e.holding(ctx, r.ContainerID, unlock)
	if err != nil {
		return // it was deleted meanwhile
	}
	defer release()
	at := rec.Find(r.Interface)
	if at < 0 || !rec.Attachments[at].Unanswered {
		return
	}
	rec.Attachments[at].Unanswered = false
	if err := e.save(ctx, rec); err != nil {
		e.log.Warn("that a hot-plug was answered is not recorded", "sandbox", r.ContainerID, "interface", r.Interface, "error", err)
	}
}

// beginDrop records that an attachment is being deleted. One whose deletion
// cannot be recorded stays: CHECK would miss it for ever.
func (e *Engine) beginDrop(ctx context.Context, rec *ledger.Record, at int) error {
	rec.Attachments[at].State = ledger.AttachmentDeleting
	if err := e.save(ctx, rec); err != nil {
		return types.NewError(types.ErrTryAgainLater, fmt.Sprintf("the DEL of %s cannot be recorded", rec.Attachments[at].Interface), err.Error())
	}
	return nil
}

// keep records that an attachment whose deletion failed is still there.
func (e *Engine) keep(ctx context.Context, rec *ledger.Record, at int) {
	rec.Attachments[at].State = ""
	if err := e.save(ctx, rec); err != nil {
		e.log.Warn("an attachment whose DEL failed is recorded as being deleted", "sandbox", rec.ContainerID, "error", err)
	}
}
