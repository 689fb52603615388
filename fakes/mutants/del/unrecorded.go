// SPDX-License-Identifier: Apache-2.0

package del

import (
	"context"
	"errors"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile del: sandboxes without a record.
var unrecordedMutants = []mutant.Mutant{
	{Name: "del-unrecorded-does-nothing", Cases: []string{"DEL-10"}, Daemon: onUnrecorded(func(context.Context, *attach.Request, daemon.Engine) error { return nil }),
		Fault: "a DEL of a sandbox without a record succeeds and does nothing"},
	{Name: "del-unrecorded-fails", Cases: []string{"DEL-10", "DEL-02"}, Daemon: onUnrecorded(func(context.Context, *attach.Request, daemon.Engine) error {
		return types.NewError(types.ErrUnknownContainer, "there is no record", "")
	}), Fault: "a DEL of a sandbox without a record fails"},
	{Name: "del-unrecorded-default-only", Cases: []string{"DEL-10"}, Daemon: onUnrecorded(func(ctx context.Context, r *attach.Request, next daemon.Engine) error {
		podless := *r
		podless.Pod = ledger.Pod{}
		return next.Del(ctx, &podless)
	}), Fault: "of a sandbox without a record the default network alone is deleted"},
	{Name: "del-unrecorded-needs-pod", Cases: []string{"DEL-10"}, Daemon: needingPod,
		Fault: "a sandbox without a record is deleted as long as its pod is known"},
}

// onUnrecorded replaces the DEL of a sandbox that has no record and had none
// since the daemon started.
func onUnrecorded(f func(ctx context.Context, r *attach.Request, next daemon.Engine) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		var recorded sync.Map
		a.OnRecords(func(r *seam.Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error {
				recorded.Store(rec.ContainerID, true)
				return next.Begin(rec)
			}
		})
		a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
			_, known := recorded.Load(r.ContainerID)
			if _, err := o.Ledger.Load(r.ContainerID); !known && errors.Is(err, ledger.ErrNotFound) {
				return f(ctx, r, next)
			}
			return next.Del(ctx, r)
		})
	}
}

func needingPod(a *seam.Assembly) {
	a.OnDel(func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error {
		_, err := o.Ledger.Load(r.ContainerID)
		if _, gone := o.Cluster.Pod(ctx, r.Pod.Namespace, r.Pod.Name); gone != nil && errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		return next.Del(ctx, r)
	})
}
