// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Ledger is what an Engine needs of the ledger. It is an interface, declared
// here by its user, so that records can be kept elsewhere, or written through a
// layer that measures or fails. The methods are those of ledger.Store.
type Ledger interface {
	// Begin makes the record durable before the first delegate runs.
	Begin(r *ledger.Record) error
	// Save replaces the record.
	Save(r *ledger.Record) error
	// Load returns the record of a container; ledger.ErrNotFound when there is
	// none, a *ledger.DamagedError when it cannot be used.
	Load(containerID string) (*ledger.Record, error)
	// Remove forgets a container.
	Remove(containerID string) error
	// Containers lists the containers with a record.
	Containers() ([]string, error)
	// LoadMultus returns what Multus recorded of a container.
	LoadMultus(containerID string) ([]ledger.MultusDelegate, error)
	// Size returns how many bytes are kept of a container, by any of the two.
	Size(containerID string) int64
	// Aside lists the containers whose damaged record was set aside and that
	// were not deleted since.
	Aside() []string
	// SetMultusAside sets aside what Multus recorded of a container, and returns
	// the *ledger.DamagedError that says so.
	SetMultusAside(containerID string, reason error) error
	// SweepCache sets aside what cannot be read of what libcni cached for it.
	SweepCache()
	// MultusContainers lists the containers that Multus has a record of.
	MultusContainers() ([]string, error)
}

var _ Ledger = (*ledger.Store)(nil)

// begin, save and remove are the ledger's, measured.

func (e *Engine) begin(ctx context.Context, rec *ledger.Record) error {
	defer timed(ctx, PhaseLedger)()
	e.deleted.forget(rec.ContainerID)
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
