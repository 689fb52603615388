// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"sync"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// errSuperseded ends an ADD whose sandbox is being deleted (DEL-08).
var errSuperseded = errors.New("a DEL of this container arrived")

// locks serialises the requests of one sandbox, in the order of their arrival,
// and keeps those of different sandboxes apart (ADD-10).
type locks struct {
	mu sync.Mutex
	m  map[string]*sandboxLock
}

type sandboxLock struct {
	// token holds one value while the lock is free; waiters receive from it,
	// and the runtime serves them first come, first served.
	token chan struct{}
	users int
	// abort ends the ADD that holds the lock, of the interface adding; nil when
	// none does.
	abort  context.CancelCauseFunc
	adding string
}

// acquire waits for the lock of a container until ctx ends. The function that
// it returns gives the lock back and must be called exactly once.
func (l *locks) acquire(ctx context.Context, containerID string) (release func(), err error) {
	l.mu.Lock()
	if l.m == nil {
		l.m = map[string]*sandboxLock{}
	}
	k := l.m[containerID]
	if k == nil {
		k = &sandboxLock{token: make(chan struct{}, 1)}
		k.token <- struct{}{}
		l.m[containerID] = k
	}
	k.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.m, containerID)
		}
	}
	select {
	case <-k.token:
		return func() { k.token <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}

// abortable marks the holder of the container's lock as an ADD that a DEL of the
// same interface may end; the function that it returns takes the mark away.
func (l *locks) abortable(containerID, ifName string, abort context.CancelCauseFunc) (done func()) {
	set := func(f context.CancelCauseFunc) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k := l.m[containerID]; k != nil {
			k.abort, k.adding = f, ifName
		}
	}
	set(abort)
	return func() { set(nil) }
}

// supersede ends the ADD of an interface that holds the container's lock, if one
// does.
func (l *locks) supersede(containerID, ifName string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.m[containerID]; k != nil && k.abort != nil && k.adding == ifName {
		k.abort(errSuperseded)
	}
}

// busy tells whether a request of the container is being served or waits.
func (l *locks) busy(containerID string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m[containerID] != nil
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
