// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// What becomes of a status that the API server does not take at once.
var lateStatusMutants = []mutant.Mutant{
	{Name: "late-status-fails-add", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: lateStatusFailsAdd,
		Fault: "an ADD whose status cannot be written fails"},
	{Name: "late-status-awaited", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: func(a *seam.Assembly) { a.Config.StatusWait = daemon.Duration(time.Hour) },
		Fault: "an ADD waits for its status for ever"},
	{Name: "late-status-given-up", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: lateStatusGivenUp,
		Fault: "a status that could not be written is forgotten"},
	{Name: "late-status-lost-at-restart", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: lateStatusLost,
		Fault: "a status that is due is not recorded, so that the next daemon does not know of it"},
	{Name: "late-status-of-deleted", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: lateStatusOfDeleted,
		Fault: "a status that could not be written is written later whatever has become of the sandbox"},
	{Name: "late-status-of-former", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: lateStatusOfFormer,
		Fault: "after a restart the status of a pod's first sandbox is written, and not that of its last"},
	{Name: "late-withdrawal-lost-at-restart", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: lateWithdrawalLost,
		Fault: "that the status of a deleted sandbox is to be taken away is not known to the next daemon"},
	{Name: "late-withdrawal-given-up", Cases: []string{"RES-14"}, Kubernetes: true, Daemon: func(a *seam.Assembly) {
		a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &impatient{next} })
	}, Fault: "the status of a sandbox that is deleted while the API server is away stays"},
}

func lateStatusFailsAdd(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
		if err := next.PublishStatus(soon(ctx), pod, status); err != nil {
			return fmt.Errorf("%w (%w)", cluster.ErrNotFound, err)
		}
		return nil
	})
}

func lateStatusGivenUp(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
		_ = next.PublishStatus(soon(ctx), pod, status)
		return nil
	})
}

// soon ends a little before a request would wait no longer.
func soon(ctx context.Context) context.Context {
	ctx, end := context.WithCancel(ctx)
	time.AfterFunc(time.Second, end)
	return ctx
}

func lateWithdrawalLost(a *seam.Assembly) {
	a.OnStart(func() error { return os.RemoveAll(filepath.Join(a.Config.CNIDir, "withdrawals")) })
}

// impatient is a cluster that takes a status away at once or not at all.
type impatient struct{ *seam.ApiLayer }

// WithdrawStatus implements cluster.Cluster.
func (i *impatient) WithdrawStatus(w cluster.Withdrawal) {
	background.Start(nil, "a fault", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := i.LivePod(ctx, w.Pod.Namespace, w.Pod.Name); err != nil {
			w.Done()
			return err
		}
		i.ApiLayer.WithdrawStatus(w)
		return nil
	})
}

func lateStatusLost(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return &undue{next} })
}

// undue is a ledger that has no status due.
type undue struct{ attach.Ledger }

// Save implements attach.Ledger.
func (u *undue) Save(rec *ledger.Record) error {
	due := rec.StatusDue
	rec.StatusDue = false
	defer func() { rec.StatusDue = due }()
	return u.Ledger.Save(rec)
}

func lateStatusOfDeleted(a *seam.Assembly) {
	a.OnPublish(func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
		err := next.PublishStatus(ctx, pod, status)
		if err != nil && ctx.Err() != nil {
			background.Start(nil, "a fault", func() error {
				later := context.WithoutCancel(ctx)
				if err := persist(later, pod, status, next); err != nil {
					return err
				}
				// The DEL's withdrawal may come after the first one, and is ended by the second;
				// what has been sent may be carried out even so.
				time.Sleep(500 * time.Millisecond)
				return persist(later, pod, status, next)
			})
		}
		return err
	})
}

// persist publishes until that succeeds.
func persist(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *seam.ApiLayer) error {
	for {
		if err := next.PublishStatus(ctx, pod, status); err == nil || errors.Is(err, cluster.ErrNotFound) {
			return err
		}
	}
}

func lateStatusOfFormer(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return &backwards{next} })
}

// backwards is a ledger in which what came first came last.
type backwards struct{ attach.Ledger }

// Load implements attach.Ledger.
func (b *backwards) Load(containerID string) (*ledger.Record, error) {
	rec, err := b.Ledger.Load(containerID)
	if rec != nil {
		rec.Created = time.Unix(0, 1<<62).Add(-time.Duration(rec.Created.UnixNano()))
	}
	return rec, err
}
