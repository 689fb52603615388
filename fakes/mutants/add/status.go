// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile add: the status of what is gone.
var statusMutants = []mutant.Mutant{
	{Name: "status-kept-after-del", Cases: []string{"ADD-18"}, Daemon: func(a *seam.Assembly) {
		a.Cluster = &unwithdrawn{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}}
	}, Fault: "a pod's network status outlives its sandbox"},
	{Name: "status-before-delegates", Cases: []string{"ADD-18"}, Daemon: statusBeforeDelegates,
		Fault: "the network status is written before the delegates run, and stays when one of them fails"},
}

// unwithdrawn is a cluster whose statuses stay.
type unwithdrawn struct{ *seam.Lookups }

// WithdrawStatus implements cluster.Cluster.
func (*unwithdrawn) WithdrawStatus(cluster.Withdrawal) {}

func statusBeforeDelegates(a *seam.Assembly) {
	a.OnRecords(func(r *seam.Records, next attach.Ledger) {
		r.OnBegin = func(rec *ledger.Record) error {
			if rec.State == ledger.StateAdding {
				var all []cluster.NetworkStatus
				for _, at := range rec.Attachments {
					all = append(all, cluster.NetworkStatus{Name: at.Definition, Interface: at.Interface, Default: at.Default})
				}
				pod := &cluster.Pod{Namespace: rec.Pod.Namespace, Name: rec.Pod.Name, UID: rec.Pod.UID}
				_ = a.Cluster.PublishStatus(context.Background(), pod, all)
			}
			return next.Begin(rec)
		}
	})
}
