// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// networkStatus returns what k8s.v1.cni.cncf.io/network-status says of a
// sandbox: its attachments in order (NPWG standard, section 5.1; NET-09). The
// auxiliary chain is not among them: nobody asked for it by name, and it makes
// no interface (NET-22).
func networkStatus(rec *ledger.Record) ([]cluster.NetworkStatus, error) {
	var all []cluster.NetworkStatus
	for i := range rec.Attachments {
		a := &rec.Attachments[i]
		if a.Auxiliary || a.State != "" || len(a.Result) == 0 { // of Multus' attachments libcni may have lost a result
			continue
		}
		result, err := resultOf(a)
		if err != nil {
			return nil, fmt.Errorf("result of network %q: %w", a.Network, err)
		}
		all = append(all, elementsOf(a, rec.Netns, result)...)
	}
	return all, nil
}

// publish makes the status of a sandbox known. late means that the cluster has
// not taken it yet, and takes it by and by; the record has to say so before the
// request is answered (RES-14).
func (e *Engine) publish(ctx context.Context, rec *ledger.Record, pod *cluster.Pod) (late bool, err error) {
	defer timed(ctx, PhaseStatus)()
	status, err := networkStatus(rec)
	if err != nil {
		return false, cniError(err, "network status")
	}
	e.published.Store(podKey(rec.Pod), rec.ContainerID)
	late, err = e.publisher.publish(ctx, &publication{containerID: rec.ContainerID, pod: pod, status: status})
	switch {
	case errors.Is(err, cluster.ErrNotFound):
		// Nobody is attached for any more (ADD-12).
		return false, types.NewError(types.ErrInternal, fmt.Sprintf("pod %s/%s was deleted while it was attached", pod.Namespace, pod.Name), err.Error())
	case err != nil:
		return false, types.NewError(types.ErrTryAgainLater,
			fmt.Sprintf("the network status of pod %s/%s cannot be published", pod.Namespace, pod.Name), err.Error())
	}
	return late, nil
}

// republish makes known what is left of a sandbox after a hot-plug DEL, which
// has succeeded: a failure is logged and no more (DEL-09). Another sandbox of
// the pod, which came since, keeps its own status.
func (e *Engine) republish(ctx context.Context, rec *ledger.Record) {
	if by, known := e.published.Load(podKey(rec.Pod)); known && by != rec.ContainerID || rec.Pod.Name == "" {
		return // or nobody knows whose status it is: Multus need not have recorded the pod
	}
	late, err := e.publish(ctx, rec, podOfRecord(rec))
	if err != nil {
		e.log.Warn("the network status still shows an attachment that is deleted", "pod", podKey(rec.Pod), "error", err)
	}
	e.saveDue(ctx, rec, late)
}

// saveDue records whether a sandbox's status is still to be published.
func (e *Engine) saveDue(ctx context.Context, rec *ledger.Record, due bool) {
	if rec.StatusDue == due {
		return
	}
	rec.StatusDue = due
	if err := e.save(ctx, rec); err != nil {
		e.log.Warn("whether a network status is published is not recorded; a restart may lose it", "sandbox", rec.ContainerID, "due", due, "error", err)
	}
}

// notePublished remembers whose status the pods show, so that deleting an old
// sandbox of a pod does not take the status of its present one away, and
// publishes what an earlier daemon could not.
func (e *Engine) notePublished() {
	ids, err := e.containers()
	if err != nil {
		return // replayOnce says so
	}
	newest := map[string]*ledger.Record{}
	for _, id := range ids {
		rec, err := e.load(id, "")
		if err != nil || rec.Pod.Name == "" || e.stale(rec) != "" {
			continue
		}
		pod := podKey(rec.Pod)
		if former := newest[pod]; former == nil || !rec.Created.Before(former.Created) {
			newest[pod] = &ledger.Record{ContainerID: id, Pod: rec.Pod, Created: rec.Created, StatusDue: rec.StatusDue}
		}
	}
	for pod, rec := range newest {
		if _, faster := e.published.LoadOrStore(pod, rec.ContainerID); !faster && rec.StatusDue {
			e.due = append(e.due, rec.ContainerID)
		}
	}
}

// publishDue publishes what an earlier daemon recorded as due. Requests are
// served meanwhile: what is recorded may not be so any more, and the pod may have
// another sandbox (RES-14).
func (e *Engine) publishDue(ctx context.Context, containerID string) {
	release, err := e.locks.acquireAside(ctx, containerID)
	if err != nil {
		return // the daemon stops; the next one publishes it
	}
	defer release()
	ctx, done := e.turns.with(ctx)
	defer done()
	if e.takeTurn(ctx, containerID) != nil {
		return
	}
	rec, err := e.load(containerID, "")
	if err != nil || !rec.StatusDue || rec.State != ledger.StateAdded {
		return
	}
	if status, err := networkStatus(rec); err == nil {
		this := &publication{containerID: containerID, pod: podOfRecord(rec), status: status}
		e.publisher.later(ctx, this, func() bool {
			by, _ := e.published.Load(this.key())
			return by == containerID
		})
	}
}

// KeepPublishing publishes what earlier daemons could not, and ends all that is
// being published when ctx ends.
func (e *Engine) KeepPublishing(ctx context.Context) {
	e.noted.Do(e.notePublished)
	e.withdrawDue()
	for _, id := range e.due {
		e.publisher.all.Start("publishing a network status that is due", func() { e.publishDue(ctx, id) })
	}
	<-ctx.Done()
	e.publisher.shutdown()
}

// StatusesDue is how many network statuses the cluster has not taken yet.
func (e *Engine) StatusesDue() int { return e.publisher.due() }

// settle records that a status is published that was late, or that nobody wants
// it any more.
func (e *Engine) settle(ctx context.Context, p *publication) {
	release, err := e.locks.acquireAside(ctx, p.containerID)
	if err != nil {
		return // there is another status by now, or none
	}
	defer release()
	ctx, done := e.turns.with(ctx)
	defer done()
	if ctx.Err() != nil || e.takeTurn(ctx, p.containerID) != nil {
		return
	}
	if rec, err := e.load(p.containerID, ""); err == nil {
		e.saveDue(ctx, rec, false)
	}
}

// unpublish takes the status of a pod away when its sandbox is gone, unless
// another sandbox of the same pod has published since. DEL never depends on
// where pods come from (DEL-09), so nothing is waited for.
func (e *Engine) unpublish(ctx context.Context, rec *ledger.Record) {
	e.publisher.cancel(podKey(rec.Pod), rec.ContainerID)
	if _, known := e.published.Load(podKey(rec.Pod)); known && !e.published.CompareAndDelete(podKey(rec.Pod), rec.ContainerID) {
		e.forgetWithdrawal(rec.ContainerID)
		return
	}
	e.planned.Delete(podKey(rec.Pod))
	if rec.Pod.Name == "" {
		return
	}
	defer timed(ctx, PhaseStatus)()
	e.withdraw(rec, false)
}

func podOfRecord(rec *ledger.Record) *cluster.Pod {
	return &cluster.Pod{Namespace: rec.Pod.Namespace, Name: rec.Pod.Name, UID: rec.Pod.UID}
}

func podKey(p ledger.Pod) string { return p.Namespace + "/" + p.Name }
