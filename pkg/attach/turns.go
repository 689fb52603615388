// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"sync"

	"github.com/containernetworking/cni/pkg/types"
)

// Turns let a few requests at a time work on large configurations: each costs
// the daemon a multiple of its length, which forty at once would not have
// (SEC-06, SEC-07). Requests with small ones, nearly all, never wait for one.
type Turns struct{ slots chan struct{} }

// NewTurns returns Turns for so many requests at a time.
func NewTurns(count int) *Turns { return &Turns{slots: make(chan struct{}, max(1, count))} }

// turn is what a request holds of Turns, once however often it asks.
type turn struct {
	mu   sync.Mutex
	held bool
}

type turnKey struct{}

// with returns a context whose request can take a turn, and the function that
// gives it back. Within another such context it is that request's.
func (t *Turns) with(ctx context.Context) (context.Context, func()) {
	if t == nil || ctx.Value(turnKey{}) != nil {
		return ctx, func() {}
	}
	own := &turn{}
	return context.WithValue(ctx, turnKey{}, own), func() {
		own.mu.Lock()
		defer own.mu.Unlock()
		if own.held {
			own.held = false
			<-t.slots
		}
	}
}

// Take waits for a turn, which the request keeps until it ends. Without a
// request, such as for a look-up that keeps nothing, there is no turn.
func (t *Turns) Take(ctx context.Context) error {
	own, ok := ctx.Value(turnKey{}).(*turn)
	if t == nil || !ok {
		return nil
	}
	own.mu.Lock()
	defer own.mu.Unlock()
	if own.held {
		return nil
	}
	select {
	case t.slots <- struct{}{}:
		own.held = true
		return nil
	case <-ctx.Done():
		return types.NewError(types.ErrTryAgainLater, "other pods with large network configurations are being served", context.Cause(ctx).Error())
	}
}

// largeRecord is the size, in bytes, from which on a record is read in turn.
const largeRecord = 128 << 10

// takeTurn waits for a turn to read the record of a container, if it is large.
func (e *Engine) takeTurn(ctx context.Context, containerID string) error {
	if e.ledger.Size(containerID) <= largeRecord {
		return nil
	}
	return e.turns.Take(ctx)
}
