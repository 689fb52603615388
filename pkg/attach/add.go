// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// Add attaches a sandbox to its pod's networks and returns the default
// network's result (ADD-02). When it fails, or ctx ends before it returns,
// nothing that it did is left (ADD-05, ADD-14); what a failing rollback leaves
// stays in the ledger for a later DEL.
func (e *Engine) Add(ctx context.Context, r *Request) (*types100.Result, error) {
	e.asked.add(podKey(r.Pod))
	e.asked.add(podKey(r.Pod) + "/" + r.Pod.UID)
	release, err := e.lock(ctx, r.ContainerID)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	defer e.locks.abortable(r.ContainerID, r.Interface, abort)()
	ctx, done := e.turns.with(ctx)
	defer done()

	attached, err := e.clearPath(ctx, r)
	if err != nil {
		return nil, err
	}
	if attached != nil {
		return e.addFurther(ctx, attached, r)
	}
	rec, pod, err := e.plan(ctx, r)
	if err != nil {
		e.deleted.add(r.ContainerID) // nothing of it was attached, and its DEL need not guess
		return nil, err
	}
	if err := e.beginFree(ctx, rec); err != nil {
		return nil, err // not one delegate has run
	}
	e.sweeps.begin(rec, rec.Attachments)
	var result *types100.Result
	err = background.Try(e.log, "ADD", func() (err error) {
		result, err = e.attachAll(ctx, rec, pod)
		if err == nil {
			err = e.commit(ctx, rec, pod)
		}
		return err
	})
	if err != nil {
		e.rollback(ctx, rec)
		return nil, err
	}
	e.added(rec, pod, rec.Attachments)
	return result, nil
}

// clearPath looks at what the ledger already has of the container: finished
// attachments are an error (ADD-11), the remains of a crash are deleted first.
// It returns the record of a container that is attached under another interface
// name (ADD-17).
func (e *Engine) clearPath(ctx context.Context, r *Request) (*ledger.Record, error) {
	rec, err := e.load(r.ContainerID, r.Interface)
	var damaged *ledger.DamagedError
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, nil
	case errors.As(err, &damaged):
		// Set aside and logged. What it stood for cannot be known; an
		// interface that is left of it fails the ADD by its name.
		return nil, nil
	case err != nil:
		return nil, types.NewError(types.ErrTryAgainLater, "the container's record cannot be read", err.Error())
	case rec.State == ledger.StateAdded:
		return e.clearPart(ctx, rec, r)
	}
	e.log.Info("deleting what an interrupted request left", "sandbox", r.ContainerID, "state", rec.State)
	return nil, e.detach(context.WithoutCancel(ctx), rec, r.Netns, func() {})
}

// clearPart is clearPath for one interface name of a container that is attached.
func (e *Engine) clearPart(ctx context.Context, rec *ledger.Record, r *Request) (*ledger.Record, error) {
	part := slices.DeleteFunc(slices.Clone(rec.Attachments), func(a ledger.Attachment) bool { return !belongs(rec, &a, r.Interface) })
	switch {
	case isWhole(rec, r.Interface) || slices.ContainsFunc(part, func(a ledger.Attachment) bool { return a.State == "" }):
		return nil, types.NewError(types.ErrInternal,
			fmt.Sprintf("container %s is attached already, with %s as %s; DEL comes before another ADD",
				r.ContainerID, describe(rec), r.Interface), "")
	case len(part) == 0:
		return rec, nil
	}
	return rec, e.dropUnfinished(ctx, rec, r)
}

func describe(rec *ledger.Record) string {
	if len(rec.Attachments) == 0 {
		return "no network"
	}
	return fmt.Sprintf("network %q", rec.Attachments[0].Network)
}

// plan decides what to attach and makes the record of it. Nothing outside the
// daemon has changed when it fails.
func (e *Engine) plan(ctx context.Context, r *Request) (*ledger.Record, *cluster.Pod, error) {
	defer timed(ctx, PhasePlan)()
	space, err := e.openOwn(&ledger.Record{}, r.Netns)
	if err != nil {
		return nil, nil, err
	}
	defer space.Close()
	pod, err := e.pod(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	delegates, err := e.planner.Plan(cluster.ForPod(ctx, pod), pod, r.Interface, r.RuntimeConfig)
	if err != nil {
		e.planFailed(pod, err)
		return nil, nil, cniError(err, fmt.Sprintf("networks of pod %s/%s", pod.Namespace, pod.Name))
	}
	rec := &ledger.Record{
		ContainerID: r.ContainerID,
		State:       ledger.StateAdding,
		Pod:         ledger.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Netns:       r.Netns,
		BootID:      e.bootID,
		NodeStart:   e.nodeStart,
		Interface:   r.Interface,
		Args:        r.Args,
	}
	identify(rec, space)
	for i := range delegates {
		e.undeclared(pod, &delegates[i])
		rec.Attachments = append(rec.Attachments, attachment(&delegates[i]))
		err = errors.Join(err, delegates[i].CheckFileNames(r.ContainerID))
	}
	if err == nil {
		err = e.nameDeviceInfo(rec)
	}
	if err != nil {
		e.planFailed(pod, err)
		return nil, nil, cniError(err, fmt.Sprintf("networks of pod %s/%s", pod.Namespace, pod.Name))
	}
	return rec, pod, nil
}

// beginFree records what is to be attached and looks, while the disk is waited
// for, whether the namespace has room for it (ADD-07). What cannot be attached
// does not stay recorded. When the disk is what fails, the runtime may simply
// try again (RES-03).
func (e *Engine) beginFree(ctx context.Context, rec *ledger.Record) error {
	netns, attachments := rec.Netns, rec.Attachments // begin has the record meanwhile
	looked := background.Start(e.log, "looking at the namespace", func() error { return checkFree(netns, attachments) })
	err := e.begin(ctx, rec)
	taken := <-looked
	if err != nil && taken == nil {
		return notRecorded("the attachment cannot be recorded", err)
	}
	if err == nil && taken != nil {
		if err := e.remove(ctx, rec.ContainerID); err != nil {
			e.log.Warn("an ADD that was refused stays recorded until DEL", "sandbox", rec.ContainerID, "error", err)
		}
	}
	return taken
}

func attachment(d *network.Delegate) ledger.Attachment {
	return ledger.Attachment{
		Network:        d.Network,
		Definition:     d.Definition,
		Interface:      d.Interface,
		Default:        d.Default,
		Auxiliary:      d.Auxiliary,
		Config:         string(d.Config),
		CapabilityArgs: d.CapabilityArgs,
		DefaultRoute:   d.DefaultRoute,
		Resource:       d.Resource,
		Selected:       d.Selected,
	}
}

// attachAll runs the delegates in order, never two at once (ADD-15), and
// returns the first one's result.
func (e *Engine) attachAll(ctx context.Context, rec *ledger.Record, pod *cluster.Pod) (*types100.Result, error) {
	for i := range rec.Attachments {
		c, err := e.call(rec, &rec.Attachments[i], rec.Netns)
		if err == nil {
			err = e.findPlugins(c)
		}
		if err != nil {
			e.attachFailed(pod, &rec.Attachments[i], err)
			rec.Attachments = rec.Attachments[:i]
			return nil, err
		}
		_, err = e.add(ctx, c)
		if err == nil {
			err = moveDefaultRoute(rec, i)
		}
		if err == nil && i+1 < len(rec.Attachments) {
			// A crash from here on leaves to DEL what this one has answered (DEL-05).
			err = e.saveStep(ctx, rec)
		}
		if err != nil {
			e.attachFailed(pod, &rec.Attachments[i], err)
			// What comes after it never ran and is not rolled back.
			rec.Attachments = rec.Attachments[:i+1]
			return nil, err
		}
	}
	first, err := resultOf(&rec.Attachments[0]) // with its routes as they were moved
	return first, cniError(err, "the default network's result")
}

// saveStep records what has been attached so far.
func (e *Engine) saveStep(ctx context.Context, rec *ledger.Record) error {
	if err := e.save(ctx, rec); err != nil {
		return notRecorded("the attachments cannot be recorded", err)
	}
	return nil
}

// notRecorded is the CNI error for a record that could not be written: one that
// is too large is the pod's own fault (SEC-06), any other may succeed later.
func notRecorded(what string, err error) error {
	if errors.Is(err, ledger.ErrTooLarge) {
		return types.NewError(types.ErrInvalidNetworkConfig, what+": "+err.Error(), "")
	}
	return types.NewError(types.ErrTryAgainLater, what, err.Error())
}

// commit makes the success durable and public, both at once: neither needs the
// other, as what Begin has recorded is enough to delete everything, and the
// answer waits for both. A request that ended meanwhile is not committed:
// nobody would ever ask for its sandbox again (ADD-14).
func (e *Engine) commit(ctx context.Context, rec *ledger.Record, pod *cluster.Pod) error {
	rec.State = ledger.StateAdded
	e.planned.Store(podKey(rec.Pod), pod.Stamp())
	if e.publisher.wait == 0 {
		return e.commitFirst(ctx, rec, pod)
	}
	saved := background.Start(e.log, "recording the attachments", func() error { return e.saveStep(ctx, rec) })
	late := false
	published := background.Try(e.log, "publishing the network status", func() (err error) {
		late, err = e.publish(ctx, rec, pod)
		return err
	})
	if err := <-saved; err != nil {
		return err
	}
	if published != nil {
		return published
	}
	if ctx.Err() != nil {
		return cniError(context.Cause(ctx), "ADD was cancelled")
	}
	e.saveDue(ctx, rec, late)
	return nil
}

// commitFirst is commit where no request waits for its status (statusWait is 0):
// the record says in one write that it is due, and it is published while the
// answer is on its way.
func (e *Engine) commitFirst(ctx context.Context, rec *ledger.Record, pod *cluster.Pod) error {
	status, err := networkStatus(rec)
	if err != nil {
		return cniError(err, "network status")
	}
	rec.StatusDue = ctx.Err() == nil // of what is rolled back no status is due
	if err := e.saveStep(ctx, rec); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return cniError(context.Cause(ctx), "ADD was cancelled")
	}
	e.published.Store(podKey(rec.Pod), rec.ContainerID)
	e.publisher.later(ctx, &publication{containerID: rec.ContainerID, pod: pod, status: status}, func() bool { return true })
	return nil
}

// rollback deletes in reverse what an ADD has attached so far. It runs to its
// end even when the request is gone; what it cannot delete is logged and stays
// in the ledger (ADD-06).
func (e *Engine) rollback(ctx context.Context, rec *ledger.Record) {
	ctx = context.WithoutCancel(ctx)
	published := rec.State == ledger.StateAdded
	noted := func() {}
	if published {
		noted = e.noteWithdrawal(rec)
	}
	if err := e.detach(ctx, rec, rec.Netns, noted); err != nil {
		e.log.Error("rollback is incomplete; DEL will try again", "sandbox", rec.ContainerID, "error", err)
	}
	noted()
	if published {
		e.unpublish(ctx, rec)
	}
}
