// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Check runs CHECK for every attachment of a sandbox (CHECK-01), each with the
// configuration and the result of its ADD, and returns the first failure. It
// changes nothing (CHECK-07).
func (e *Engine) Check(ctx context.Context, r *Request) error {
	rec, release, err := e.hold(ctx, r)
	if err != nil {
		return err
	}
	defer release()
	if err := e.findOwn(rec, r.Netns); err != nil {
		return err
	}
	for i := range rec.Attachments {
		if rec.Attachments[i].State != "" {
			continue // no client has it (HOT-10)
		}
		c, err := e.call(rec, &rec.Attachments[i], r.Netns)
		if err != nil {
			return err
		}
		if err := e.check(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// lock takes a container's lock; its error is CNI's.
func (e *Engine) lock(ctx context.Context, containerID string) (release func(), err error) {
	defer timed(ctx, PhaseLock)()
	release, err = e.locks.acquire(ctx, containerID)
	if err != nil {
		return nil, cniError(err, "waiting for the container's earlier request")
	}
	return release, nil
}

// hold takes the lock of a container that must be attached, and loads its
// record.
func (e *Engine) hold(ctx context.Context, r *Request) (*ledger.Record, func(), error) {
	unlock, err := e.lock(ctx, r.ContainerID)
	if err != nil {
		return nil, nil, err
	}
	ctx, done := e.turns.with(ctx)
	release := func() { done(); unlock() }
	if err = e.takeTurn(ctx, r.ContainerID); err == nil {
		var rec *ledger.Record
		if rec, err = e.attached(r.ContainerID, ""); err == nil {
			return rec, release, nil
		}
	}
	release()
	return nil, nil, err
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
