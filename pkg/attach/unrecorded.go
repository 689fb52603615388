// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// clusterPatience is how long the DEL of a sandbox without a record waits for a
// cluster that has just begun to be followed. It does not need it (DEL-09).
const clusterPatience = 2 * time.Second

// delWithoutRecord deletes what can be known of a sandbox whose record is
// damaged (DEL-07) or that has none, because it was attached before this daemon
// was installed or because its record was lost (DEL-10): what libcni cached for a
// Multus, and beside it what an ADD would attach now, or at least the default
// network. A container that was never attached is deleted in the same way, which
// CNI's plugins take for a success (DEL-02). The plan for a damaged record
// becomes the record, so that what fails is tried again.
func (e *Engine) delWithoutRecord(ctx context.Context, r *Request, damaged bool) error {
	rec := &ledger.Record{ContainerID: r.ContainerID, BootID: e.bootID, Interface: r.Interface, Args: r.Args, Pod: r.Pod}
	rec.Netns = e.unclaimed(rec, r.Netns)
	guessed, err := e.guess(ctx, r)
	switch {
	case errors.Is(err, network.ErrNoDefaultNetwork) && !damaged:
		e.log.Warn("a sandbox without a record is not deleted by configuration", "sandbox", r.ContainerID, "error", err)
	case err != nil:
		return cniError(err, "default network")
	}
	rec.Attachments = guessed
	if err := e.nameDeviceInfo(rec); err != nil {
		e.log.Warn("an attachment's device cannot have been described", "sandbox", r.ContainerID, "error", err)
	}
	rec.Attachments = e.withCached(rec)
	if !damaged {
		rec.Attachments = slices.DeleteFunc(rec.Attachments, func(a ledger.Attachment) bool { return e.neverAttached(rec, &a) })
	}
	e.log.Warn("deleting by configuration, for want of a record", "sandbox", r.ContainerID, "attachments", len(rec.Attachments))
	err = e.forget(ctx, rec, rec.Netns)
	if err != nil && !damaged {
		// The next DEL looks again at what can be known by then.
		if err := e.remove(ctx, rec.ContainerID); err != nil {
			e.log.Warn("what was guessed of a sandbox stays recorded", "sandbox", rec.ContainerID, "error", err)
		}
	}
	return err
}

// guess returns what an ADD would attach, or the default network alone where the
// pod's further networks cannot be found.
func (e *Engine) guess(ctx context.Context, r *Request) ([]ledger.Attachment, error) {
	select {
	case <-e.cluster.Ready():
	case <-time.After(clusterPatience):
	}
	// No API server is waited for (DEL-09).
	attachments, err := e.replan(cluster.Offline(ctx), r)
	if err == nil {
		return attachments, nil
	}
	e.log.Warn("the pod's networks cannot be found again; only the default network is deleted", "sandbox", r.ContainerID, "error", err)
	d, err := e.planner.Default(cluster.Offline(ctx), r.Interface, r.RuntimeConfig)
	if err != nil {
		return nil, err
	}
	return []ledger.Attachment{attachment(d)}, nil
}

// neverAttached reports whether an attachment that is only guessed lacks a
// plugin, or has a name that no file can have: its ADD was refused before
// anything ran (ADD-09, SEC-10), and a DEL could not succeed either.
func (e *Engine) neverAttached(rec *ledger.Record, a *ledger.Attachment) bool {
	c, err := e.call(rec, a, "")
	if err == nil {
		err = errors.Join(e.findPlugins(c), (&network.Delegate{Network: a.Network, Interface: a.Interface}).CheckFileNames(rec.ContainerID))
	}
	if err != nil {
		e.log.Warn("a network that the pod asks for cannot have been attached", "sandbox", rec.ContainerID, "network", a.Network, "error", err)
	}
	return err != nil
}

// unclaimed returns the path of a namespace whose identity was not recorded, ""
// where it leads to the namespace of another sandbox that is (DEL-11). The
// record takes the identity that the namespace has now.
func (e *Engine) unclaimed(rec *ledger.Record, path string) string {
	space, err := e.openOwn(rec, path)
	if err != nil {
		return path // netnsForDel says what becomes of it
	}
	defer space.Close()
	rec.Netns = path
	identify(rec, space)
	ids, err := e.ledger.Containers()
	if err != nil {
		return path
	}
	for _, id := range ids {
		other, err := e.ledger.Load(id)
		if err == nil && other.NetnsInode == rec.NetnsInode && other.NetnsCookie == rec.NetnsCookie && !e.rebooted(other) {
			e.log.Warn("the delegates get no namespace: it is another sandbox's", "sandbox", rec.ContainerID, "netns", path, "other", id)
			return ""
		}
	}
	return path
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
