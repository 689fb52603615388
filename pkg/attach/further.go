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
)

// To CNI, a container that is added under two interface names is two
// attachments, each with a DEL, a CHECK and a GC of its own (CNI spec, section
// 3; ADD-17). Both are in the sandbox's one record: they share a namespace and
// the pod's status. What came with a further ADD names that one's interface, and
// has a state as a hot-plug has, so that a crash hurts it alone.

// belongs reports whether an attachment came with the ADD of that interface
// name, or was hot-plugged since to what did.
func belongs(rec *ledger.Record, a *ledger.Attachment, ifName string) bool {
	if a.Of != "" {
		return a.Of == ifName
	}
	return rec.Interface == "" || rec.Interface == ifName
}

// isWhole reports whether all of a record came with the ADD of that interface
// name.
func isWhole(rec *ledger.Record, ifName string) bool {
	return belongs(rec, &ledger.Attachment{}, ifName) &&
		!slices.ContainsFunc(rec.Attachments, func(a ledger.Attachment) bool { return !belongs(rec, &a, ifName) })
}

// namesOf lists the interface names that a container was added under, the
// record's own first.
func namesOf(rec *ledger.Record) []string {
	names := []string{rec.Interface}
	for i := range rec.Attachments {
		if of := rec.Attachments[i].Of; of != "" && !slices.Contains(names, of) {
			names = append(names, of)
		}
	}
	return names
}

// addFurther attaches a sandbox once more, under another interface name.
func (e *Engine) addFurther(ctx context.Context, rec *ledger.Record, r *Request) (*types100.Result, error) {
	if err := e.findOwn(rec, r.Netns); err != nil {
		return nil, err
	}
	more, pod, err := e.plan(ctx, r)
	if err != nil {
		return nil, err
	}
	first := len(rec.Attachments)
	for i := range more.Attachments {
		a := &more.Attachments[i]
		if at := rec.Find(a.Interface); at >= 0 {
			return nil, types.NewError(types.ErrInvalidNetworkConfig,
				fmt.Sprintf("interface %s is taken by network %q, which the container got with its ADD as %s", a.Interface, rec.Attachments[at].Network, rec.Interface), "")
		}
		a.Of, a.Args, a.Default, a.State = r.Interface, r.Args, false, ledger.AttachmentAdding
	}
	if err := checkFree(r.Netns, more.Attachments); err != nil {
		return nil, err
	}
	rec.Attachments = append(rec.Attachments, more.Attachments...)
	if err := e.begin(ctx, rec); err != nil {
		return nil, notRecorded("the attachment cannot be recorded", err)
	}
	e.sweeps.begin(rec, rec.Attachments[first:])
	var result *types100.Result
	err = background.Try(e.log, "ADD", func() (err error) {
		result, err = e.attachFurther(ctx, rec, pod, first)
		return err
	})
	if err != nil {
		if left := e.dropPart(context.WithoutCancel(ctx), rec, r.Interface, r.Netns); left != nil {
			e.log.Error("rollback is incomplete; DEL will try again", "sandbox", rec.ContainerID, "error", left)
		}
		return nil, err
	}
	e.added(rec, pod, rec.Attachments[first:])
	return result, nil
}

// attachFurther runs the delegates of the attachments from first on, and makes
// them durable and public. What never ran is not in the record when it fails.
func (e *Engine) attachFurther(ctx context.Context, rec *ledger.Record, pod *cluster.Pod, first int) (*types100.Result, error) {
	for i := first; i < len(rec.Attachments); i++ {
		c, err := e.call(rec, &rec.Attachments[i], rec.Netns)
		if err == nil {
			err = e.findPlugins(c)
		}
		tried := i
		if err == nil {
			tried = i + 1
			if _, err = e.add(ctx, c); err == nil {
				err = e.saveStep(ctx, rec)
			}
		}
		if err != nil {
			e.attachFailed(pod, &rec.Attachments[i], err)
			rec.Attachments = rec.Attachments[:tried]
			return nil, err
		}
	}
	for i := first; i < len(rec.Attachments); i++ {
		rec.Attachments[i].State = ""
	}
	e.planned.Store(podKey(rec.Pod), pod.Stamp())
	late, err := e.publish(ctx, rec, pod)
	if err != nil {
		return nil, err
	}
	rec.StatusDue = late
	if ctx.Err() != nil {
		return nil, cniError(context.Cause(ctx), "ADD was cancelled")
	}
	if err := e.saveStep(ctx, rec); err != nil {
		return nil, err
	}
	result, err := resultOf(&rec.Attachments[first])
	return result, cniError(err, "the default network's result")
}

// forgetPart deletes what came with the ADD of one interface name, and leaves
// what came with another (ADD-17). It returns the first failure; what failed
// stays recorded, and a later DEL tries it again (DEL-06).
func (e *Engine) forgetPart(ctx context.Context, rec *ledger.Record, ifName, netns string) error {
	if isWhole(rec, ifName) {
		return e.forget(ctx, rec, netns)
	}
	if !slices.ContainsFunc(rec.Attachments, func(a ledger.Attachment) bool { return belongs(rec, &a, ifName) }) {
		return nil // it was never attached, or is deleted (DEL-02)
	}
	if err := e.dropPart(ctx, rec, ifName, netns); err != nil {
		return err
	}
	if len(rec.Attachments) == 0 {
		return e.forget(ctx, rec, netns)
	}
	return nil
}

// dropPart runs DEL for what came with the ADD of one interface name, last
// first, and takes it out of the record and the status.
func (e *Engine) dropPart(ctx context.Context, rec *ledger.Record, ifName, netns string) error {
	for i := range rec.Attachments {
		if belongs(rec, &rec.Attachments[i], ifName) {
			rec.Attachments[i].State = ledger.AttachmentDeleting
		}
	}
	if err := e.save(ctx, rec); err != nil {
		e.log.Warn("DEL goes on without a record of having begun", "sandbox", rec.ContainerID, "interface", ifName, "error", err)
	}
	var failures []error
	for at := len(rec.Attachments) - 1; at >= 0; at-- {
		if !belongs(rec, &rec.Attachments[at], ifName) {
			continue
		}
		if err := e.drop(ctx, rec, at, netns); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		return failures[0]
	}
	if ifName == rec.Interface && len(rec.Attachments) > 0 {
		inherit(rec)
		if err := e.save(ctx, rec); err != nil {
			e.log.Warn("which attachment of a sandbox is left cannot be recorded", "sandbox", rec.ContainerID, "error", err)
		}
	}
	e.republish(ctx, rec)
	return nil
}

// inherit makes what came with a further ADD the record's own, when nothing else
// is left.
func inherit(rec *ledger.Record) {
	rec.Interface = rec.Attachments[0].Of
	for i := range rec.Attachments {
		a := &rec.Attachments[i]
		if a.Of != rec.Interface {
			continue
		}
		a.Of = ""
		a.Default = a.Interface == rec.Interface && !a.Auxiliary
	}
}

// dropUnfinished deletes what an interrupted ADD or DEL of one interface name
// left in a sandbox that is attached under another.
func (e *Engine) dropUnfinished(ctx context.Context, rec *ledger.Record, r *Request) error {
	e.log.Info("deleting what an interrupted request left", "sandbox", r.ContainerID, "interface", r.Interface)
	if err := e.stopOrphans(ctx, rec); err != nil {
		return types.NewError(types.ErrTryAgainLater, "the delegates of an earlier request still run", err.Error())
	}
	return e.dropPart(context.WithoutCancel(ctx), rec, r.Interface, r.Netns)
}

// collect deletes the attachments of a sandbox that the runtime does not name,
// and says whether that was all of them.
func (e *Engine) collect(ctx context.Context, rec *ledger.Record, valid map[types.GCAttachment]bool) (all bool, err error) {
	names := namesOf(rec)
	stale := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return valid[types.GCAttachment{ContainerID: rec.ContainerID, IfName: name}]
	})
	if len(stale) == len(names) {
		e.log.Info("GC deletes a container that the runtime does not name", "sandbox", rec.ContainerID)
		return true, e.forget(ctx, rec, rec.Netns)
	}
	var failures []error
	for _, name := range stale {
		e.log.Info("GC deletes an attachment that the runtime does not name", "sandbox", rec.ContainerID, "interface", name)
		failures = append(failures, e.forgetPart(ctx, rec, name, rec.Netns))
	}
	return false, errors.Join(failures...)
}
