// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// OnPlanned is onPlan for a fault that may refuse the plan.
func OnPlanned(f func(rec *ledger.Record) error) func(*Assembly) {
	return func(a *Assembly) {
		a.OnRecords(func(r *Records, next attach.Ledger) {
			r.OnBegin = func(rec *ledger.Record) error {
				if err := f(rec); err != nil {
					return err
				}
				return next.Begin(rec)
			}
		})
	}
}
