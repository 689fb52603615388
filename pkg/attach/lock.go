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
	// requests are the users that somebody waits for.
	requests int
	// abort ends the ADD that holds the lock, of the interface adding; nil when
	// none does.
	abort  context.CancelCauseFunc
	adding string
}

// acquire waits for the lock of a container until ctx ends. The function that
// it returns gives the lock back and must be called exactly once.
func (l *locks) acquire(ctx context.Context, containerID string) (release func(), err error) {
	return l.take(ctx, containerID, 1)
}

// acquireAside is acquire for what follows an answer. It takes a moment, and nobody
// waits for it: the container is not busy by it, so GC waits and does not leave it out.
func (l *locks) acquireAside(ctx context.Context, containerID string) (release func(), err error) {
	return l.take(ctx, containerID, 0)
}

func (l *locks) take(ctx context.Context, containerID string, requests int) (release func(), err error) {
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
	k.requests += requests
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		k.requests -= requests
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
	k := l.m[containerID]
	return k != nil && k.requests > 0
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
	return e.holding(ctx, r.ContainerID, unlock)
}

// holding is hold for a lock that is taken.
func (e *Engine) holding(ctx context.Context, containerID string, unlock func()) (*ledger.Record, func(), error) {
	ctx, done := e.turns.with(ctx)
	release := func() { done(); unlock() }
	err := e.takeTurn(ctx, containerID)
	if err == nil {
		var rec *ledger.Record
		if rec, err = e.attached(containerID, ""); err == nil {
			return rec, release, nil
		}
	}
	release()
	return nil, nil, err
}
