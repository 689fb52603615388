// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// Del removes every attachment of a sandbox, in reverse order of ADD, with
// what the ledger says of each (DEL-01, DEL-04). A container that the ledger
// does not know is a success (DEL-02). It ends an ADD of the same container
// that is still running (DEL-08), and once it has begun it goes on when its
// client leaves: half a DEL helps nobody.
func (e *Engine) Del(ctx context.Context, r *Request) error {
	e.locks.supersede(r.ContainerID)
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
	case errors.Is(err, ledger.ErrNotFound):
		return nil
	case errors.As(err, &damaged):
		return e.delWithoutRecord(ctx, r)
	case err != nil:
		return types.NewError(types.ErrTryAgainLater, "the container's record cannot be read", err.Error())
	}
	return e.forget(ctx, rec, r.Netns)
}

// forget deletes all that a record lists, and then what was published of it.
func (e *Engine) forget(ctx context.Context, rec *ledger.Record, netns string) error {
	if err := e.detach(ctx, rec, netns); err != nil {
		return err
	}
	e.unpublish(ctx, rec)
	return nil
}

// detach runs DEL for every attachment of a record, last first. One that fails
// does not stop the others; it stays in the record, so that a later DEL tries
// it again, and the first such error is returned (DEL-06). When none is left,
// the record is removed. netns is the path that is asked for.
func (e *Engine) detach(ctx context.Context, rec *ledger.Record, netns string) error {
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

// delWithoutRecord deletes what can be known of a sandbox whose record is
// damaged (DEL-07): what libcni cached for a Multus, and beside it the plan that
// an ADD would make now, or at least the default network.
func (e *Engine) delWithoutRecord(ctx context.Context, r *Request) error {
	rec := &ledger.Record{ContainerID: r.ContainerID, Netns: r.Netns, Interface: r.Interface, Args: r.Args, Pod: r.Pod}
	// No API server is waited for (DEL-09).
	delegates, err := e.replan(cluster.Offline(ctx), r)
	if err != nil {
		e.log.Warn("the pod's networks cannot be found again; only the default network is deleted", "sandbox", r.ContainerID, "error", err)
		d, err := e.planner.Default(ctx, r.Interface, r.RuntimeConfig)
		if err != nil {
			return cniError(err, "default network")
		}
		rec.Attachments = append(rec.Attachments, attachment(d))
	}
	rec.Attachments = append(rec.Attachments, delegates...)
	if err := e.nameDeviceInfo(rec); err != nil {
		e.log.Warn("an attachment's device cannot have been described", "sandbox", r.ContainerID, "error", err)
	}
	rec.Attachments = e.withCached(rec)
	e.log.Warn("deleting by configuration, for want of a record", "sandbox", r.ContainerID, "attachments", len(rec.Attachments))
	// The plan becomes the record, so that what fails now is tried again.
	return e.forget(ctx, rec, r.Netns)
}

// withCached returns a record's attachments with those that libcni cached in
// place of what the plan guesses for the same interface. An entry that cannot
// be read is passed over by libcni.
func (e *Engine) withCached(rec *ledger.Record) []ledger.Attachment {
	all := rec.Attachments
	e.ledger.SweepCache()
	cached, err := e.cni.GetCachedAttachments(rec.ContainerID)
	if err != nil {
		e.log.Warn("libcni's results cannot be read", "sandbox", rec.ContainerID, "error", err)
	}
	for _, c := range cached {
		// Multus caches single plugins' configurations as they are.
		d, err := network.NewDelegate(c.Config, c.IfName, nil)
		if err != nil {
			e.log.Warn("a cached configuration cannot be used", "sandbox", rec.ContainerID, "network", c.Network, "error", err)
			continue
		}
		a := attachment(d)
		a.Default, a.Args, a.CapabilityArgs = c.IfName == rec.Interface, c.CniArgs, c.CapabilityArgs
		if at := rec.Find(c.IfName); at >= 0 {
			all[at] = a
		} else {
			all = append(all, a)
		}
	}
	return all
}

func (e *Engine) replan(ctx context.Context, r *Request) ([]ledger.Attachment, error) {
	pod, err := e.pod(ctx, r)
	if err != nil {
		return nil, err
	}
	delegates, err := e.planner.Recall(ctx, pod, r.Interface, r.RuntimeConfig)
	if err != nil {
		return nil, fmt.Errorf("networks of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	var attachments []ledger.Attachment
	for i := range delegates {
		attachments = append(attachments, attachment(&delegates[i]))
	}
	return attachments, nil
}
