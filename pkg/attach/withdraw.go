// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"sync"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// A pod may show the status of a sandbox that is gone: one that was deleted while
// the API server was away, to which even a write that was ended may have come. As
// long as it may, the sandbox's record is kept beside the ledger, so that the next
// daemon takes the status away (RES-14). There is one for each pod of the node at
// the most, since a pod's next status takes the place of the withdrawal.

// withdraw takes the status of a sandbox away, of which exact allows no other
// than the record's.
func (e *Engine) withdraw(rec *ledger.Record, exact bool) {
	status, err := networkStatus(rec)
	if err != nil {
		status = nil // it was not published either
	}
	id := rec.ContainerID
	e.cluster.WithdrawStatus(cluster.Withdrawal{Pod: podOfRecord(rec), Status: status, Exact: exact, Done: func() { e.forgetWithdrawal(id) }})
}

// noteWithdrawal begins to record that the status of a sandbox has to be taken
// away, while its delegates run; noted returns when that is done. Most DELs are of
// pods that are going, whose status goes with them: those write nothing.
func (e *Engine) noteWithdrawal(rec *ledger.Record) (noted func()) {
	if e.withdrawals == nil || rec.Pod.Name == "" {
		return func() {}
	}
	if live, ok := e.cluster.(cluster.LiveCluster); ok && !live.MayShow(podOfRecord(rec)) {
		return func() {}
	}
	withdrawal := rec.Afresh()
	withdrawal.State = ledger.StateDeleting
	saved := background.Start(e.log, "recording a status to be taken away", func() error { return e.withdrawals.Save(withdrawal) })
	return sync.OnceFunc(func() {
		if err := <-saved; err != nil {
			// A full disk keeps nothing from being deleted (RES-03).
			e.log.Warn("a status that is to be taken away is not recorded; a restart may leave it", "sandbox", rec.ContainerID, "error", err)
		}
	})
}

func (e *Engine) forgetWithdrawal(containerID string) {
	if e.withdrawals == nil {
		return
	}
	if err := e.withdrawals.Remove(containerID); err != nil {
		e.log.Warn("a status that is taken away stays recorded", "sandbox", containerID, "error", err)
	}
}

// withdrawDue takes the statuses away that an earlier daemon could not. A pod that
// has another sandbox shows, or is to show, what that has.
func (e *Engine) withdrawDue() {
	if e.withdrawals == nil {
		return
	}
	ids, err := e.withdrawals.Containers()
	if err != nil {
		e.log.Warn("which statuses are to be taken away cannot be listed", "error", err)
		return
	}
	for _, id := range ids {
		_, err := e.ledger.Load(id)
		kept := !errors.Is(err, ledger.ErrNotFound)
		rec, err := e.withdrawals.Load(id)
		if err != nil {
			continue // it is damaged, and set aside
		}
		if _, another := e.published.Load(podKey(rec.Pod)); another || kept {
			e.forgetWithdrawal(id) // the DEL of one that is kept notes it again
			continue
		}
		e.withdraw(rec, true)
	}
}
