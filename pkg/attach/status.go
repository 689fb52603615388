// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		result, err := recordedResult(a.Result)
		if err != nil {
			return nil, fmt.Errorf("result of network %q: %w", a.Network, err)
		}
		all = append(all, elementsOf(a, rec.Netns, result)...)
	}
	return all, nil
}

// publish makes the status of a sandbox known.
func (e *Engine) publish(ctx context.Context, rec *ledger.Record, pod *cluster.Pod) error {
	defer timed(ctx, PhaseStatus)()
	status, err := networkStatus(rec)
	if err != nil {
		return cniError(err, "network status")
	}
	err = e.cluster.PublishStatus(ctx, pod, status)
	if errors.Is(err, cluster.ErrNotFound) {
		// Nobody is attached for any more (ADD-12).
		return types.NewError(types.ErrInternal, fmt.Sprintf("pod %s/%s was deleted while it was attached", pod.Namespace, pod.Name), err.Error())
	}
	if err != nil {
		return types.NewError(types.ErrTryAgainLater,
			fmt.Sprintf("the network status of pod %s/%s cannot be published", pod.Namespace, pod.Name), err.Error())
	}
	e.published.Store(podKey(rec.Pod), rec.ContainerID)
	return nil
}

// republishTimeout is how long a hot-plug DEL waits for the status.
const republishTimeout = 2 * time.Second

// republish makes known what is left of a sandbox after a hot-plug DEL, which
// has succeeded: a failure is logged and no more (DEL-09). Another sandbox of
// the pod, which came since, keeps its own status.
func (e *Engine) republish(ctx context.Context, rec *ledger.Record) {
	if by, known := e.published.Load(podKey(rec.Pod)); known && by != rec.ContainerID {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, republishTimeout)
	defer cancel()
	pod := &cluster.Pod{Namespace: rec.Pod.Namespace, Name: rec.Pod.Name, UID: rec.Pod.UID}
	if err := e.publish(ctx, rec, pod); err != nil {
		e.log.Warn("the network status still shows an attachment that is deleted", "pod", podKey(rec.Pod), "error", err)
	}
}

// unpublish takes the status of a pod away when its sandbox is gone, unless
// another sandbox of the same pod has published since. DEL never depends on
// where pods come from (DEL-09), so nothing is waited for.
func (e *Engine) unpublish(ctx context.Context, rec *ledger.Record) {
	by, known := e.published.LoadAndDelete(podKey(rec.Pod))
	if known && by != rec.ContainerID {
		e.published.Store(podKey(rec.Pod), by)
		return
	}
	if rec.Pod.Name == "" {
		return
	}
	defer timed(ctx, PhaseStatus)()
	status, err := networkStatus(rec)
	if err != nil {
		status = nil // it was not published either
	}
	e.cluster.WithdrawStatus(&cluster.Pod{Namespace: rec.Pod.Namespace, Name: rec.Pod.Name, UID: rec.Pod.UID}, status)
}

func podKey(p ledger.Pod) string { return p.Namespace + "/" + p.Name }
