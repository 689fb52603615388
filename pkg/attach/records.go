// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// begin, save and remove are the ledger's, measured.

func (e *Engine) begin(ctx context.Context, rec *ledger.Record) error {
	defer timed(ctx, PhaseLedger)()
	return e.ledger.Begin(rec)
}

func (e *Engine) save(ctx context.Context, rec *ledger.Record) error {
	defer timed(ctx, PhaseLedger)()
	return e.ledger.Save(rec)
}

func (e *Engine) remove(ctx context.Context, containerID string) error {
	defer timed(ctx, PhaseLedger)()
	return e.ledger.Remove(containerID)
}
