// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// sweeps keep GC and ADD apart without a lock that is held while a delegate
// runs (SEC-11): a delegate's GC deletes every attachment that it is not told of.
// What an ADD has begun is told to every sweep that starts later; an ADD that
// began during a sweep of its own network waits for that one sweep, and ends it
// when it has waited for too long: a tenant's definition may have the default
// network's name, and plugins that hang one after the other.
type sweeps struct {
	// patience is how long an ADD waits; zero means DefaultTimeLimit.
	patience time.Duration

	mu sync.Mutex
	// underway counts GCs, from before they read the ledger.
	underway int
	// begun are attachments that began since the first GC that is underway.
	begun map[string][]types.GCAttachment
	// running are the sweeps of now, by network name.
	running map[string]*sweep
}

// sweep is one network's GC.
type sweep struct {
	valid map[types.GCAttachment]bool
	stop  context.CancelCauseFunc
	done  chan struct{}
}

// errAwaited ends a sweep that keeps an ADD waiting.
var errAwaited = errors.New("a pod has waited for it too long")

// open is called before a GC reads the ledger, and the function that it returns
// when it has ended.
func (s *sweeps) open() (closed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.underway++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.underway--; s.underway == 0 {
			s.begun = nil
		}
	}
}

// begin is called when attachments of a record have been recorded and none of
// their delegates has run.
func (s *sweeps) begin(rec *ledger.Record, attachments []ledger.Attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.underway == 0 {
		return
	}
	if s.begun == nil {
		s.begun = map[string][]types.GCAttachment{}
	}
	for i := range attachments {
		a := &attachments[i]
		s.begun[a.Network] = append(s.begun[a.Network], types.GCAttachment{ContainerID: rec.ContainerID, IfName: a.Interface})
	}
}

// await returns when no sweep of a network runs that does not know of the
// attachment, or when ctx ends.
func (s *sweeps) await(ctx context.Context, network string, at types.GCAttachment) error {
	s.mu.Lock()
	now := s.running[network]
	s.mu.Unlock()
	if now == nil || now.valid[at] {
		return nil
	}
	late := time.AfterFunc(cmp.Or(s.patience, DefaultTimeLimit), func() { now.stop(errAwaited) })
	defer late.Stop()
	select {
	case <-now.done:
		return nil // a later one knows of it
	case <-ctx.Done():
		return cniError(context.Cause(ctx), "waiting for a GC of network "+network)
	}
}

// start begins the sweep of a network with what is valid for it, and waits for
// one that another GC runs. The sweep has to keep to the context that it returns.
func (s *sweeps) start(ctx context.Context, network string, valid map[types.GCAttachment]bool) (
	sweeping context.Context, known map[types.GCAttachment]bool, end func(), err error) {
	for {
		s.mu.Lock()
		other := s.running[network]
		if other == nil {
			break
		}
		s.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, nil, nil, cniError(context.Cause(ctx), "waiting for another GC of network "+network)
		}
	}
	defer s.mu.Unlock()
	known = make(map[types.GCAttachment]bool, len(valid))
	for at := range valid {
		known[at] = true
	}
	for _, at := range s.begun[network] {
		known[at] = true
	}
	sweeping, stop := context.WithCancelCause(ctx)
	this := &sweep{valid: known, stop: stop, done: make(chan struct{})}
	if s.running == nil {
		s.running = map[string]*sweep{}
	}
	s.running[network] = this
	return sweeping, known, func() {
		stop(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, network)
		close(this.done)
	}, nil
}
