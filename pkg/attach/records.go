// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

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

// load returns the record of a container: the ledger's, or one that is made of
// what a Multus that ran here before has in its cache (RES-05). Errors are
// those of ledger.Store.Load. Nothing is written.
func (e *Engine) load(containerID, ifName string) (*ledger.Record, error) {
	rec, err := e.ledger.Load(containerID)
	if err == nil {
		markUnfinished(rec)
	}
	if !errors.Is(err, ledger.ErrNotFound) {
		return rec, err
	}
	delegates, err := e.ledger.LoadMultus(containerID)
	if err != nil {
		return nil, err
	}
	rec, err = e.adopt(containerID, ifName, delegates)
	if errors.Is(err, errNoNetwork) {
		return nil, e.ledger.SetMultusAside(containerID, err)
	}
	return rec, err
}

// attached loads the record of a container that must be attached; code 3
// (unknown container) when it is not.
func (e *Engine) attached(containerID, ifName string) (*ledger.Record, error) {
	rec, err := e.load(containerID, ifName)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, types.NewError(types.ErrUnknownContainer, fmt.Sprintf("container %s is not attached to any network", containerID), "")
	case err != nil:
		return nil, cniError(err, "ledger")
	case rec.State != ledger.StateAdded:
		return nil, types.NewError(types.ErrUnknownContainer,
			fmt.Sprintf("container %s is not attached: an interrupted request left it %s; DEL comes first", containerID, rec.State), "")
	}
	return rec, nil
}
