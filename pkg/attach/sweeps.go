// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// sweeps keep GC apart from ADD and DEL, network by network (CNI spec, section 3:
// "The runtime must exclusively execute either gc or add and delete"), without a
// lock that anybody could hold for ever (SEC-11): a tenant's definition may have the
// default network's name, and plugins that hang one after the other. A sweep waits
// for what runs, for a while. Then it goes on beside it: it is told of what an ADD
// has begun, so that it deletes none of it. ADD and DEL wait for a sweep, and end it
// when they have waited for too long.
type sweeps struct {
	// patience is how long ADD and DEL wait; zero means DefaultTimeLimit.
	patience time.Duration

	mu sync.Mutex
	// underway counts GCs, from before they read the ledger.
	underway int
	// begun are attachments that began since the first GC that is underway.
	begun map[string][]types.GCAttachment
	// running are the sweeps of now, by network name, and busy the ADDs and DELs.
	running map[string]*sweep
	busy    map[string]*busy
}

// exclusion is how long the GC of a network waits for the network's ADDs and DELs
// to end: long enough for plugins that do their work, and short where they hang.
const exclusion = 2 * time.Second

// busy are ADDs and DELs that have a network's plugins executed.
type busy struct {
	count int
	idle  chan struct{} // closed when there are none any more
}

// sweep is one network's GC.
type sweep struct {
	stop context.CancelCauseFunc
	done chan struct{}
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

// enter returns when no sweep of a network runs, or when ctx ends. The next sweep
// waits until leave is called.
func (s *sweeps) enter(ctx context.Context, network string) (leave func(), err error) {
	for {
		s.mu.Lock()
		now := s.running[network]
		if now == nil {
			break
		}
		s.mu.Unlock()
		if err := s.await(ctx, now, network); err != nil {
			return nil, err
		}
	}
	defer s.mu.Unlock()
	if s.busy == nil {
		s.busy = map[string]*busy{}
	}
	b := s.busy[network]
	if b == nil {
		b = &busy{idle: make(chan struct{})}
		s.busy[network] = b
	}
	b.count++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b.count--; b.count == 0 {
			delete(s.busy, network)
			close(b.idle)
		}
	}, nil
}

// await returns when a sweep has ended, or when ctx ends.
func (s *sweeps) await(ctx context.Context, now *sweep, network string) error {
	late := time.AfterFunc(s.limit(), func() { now.stop(errAwaited) })
	defer late.Stop()
	select {
	case <-now.done:
		return nil
	case <-ctx.Done():
		return cniError(context.Cause(ctx), "waiting for a GC of network "+network)
	}
}

func (s *sweeps) limit() time.Duration { return cmp.Or(s.patience, DefaultTimeLimit) }

// start begins the sweep of a network with what is valid for it, and waits for
// one that another GC runs, and for the network's ADDs and DELs. The sweep has to
// keep to the context that it returns.
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
	known = maps.Clone(valid)
	if known == nil {
		known = map[types.GCAttachment]bool{}
	}
	for _, at := range s.begun[network] {
		known[at] = true
	}
	sweeping, stop := context.WithCancelCause(ctx)
	this, before := &sweep{stop: stop, done: make(chan struct{})}, s.busy[network]
	if s.running == nil {
		s.running = map[string]*sweep{}
	}
	s.running[network] = this
	s.mu.Unlock()
	end = func() {
		stop(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.running, network)
		close(this.done)
	}
	if err := s.exclude(sweeping, before); err != nil {
		end()
		return nil, nil, nil, cniError(err, "waiting for ADD and DEL of network "+network)
	}
	return sweeping, known, end, nil
}

// exclude waits for the ADDs and DELs that ran when a sweep was asked for, unless
// they take too long.
func (s *sweeps) exclude(ctx context.Context, before *busy) error {
	if before == nil {
		return nil
	}
	// Less than what those wait that wait for this sweep.
	enough := time.NewTimer(min(exclusion, s.limit()/2))
	defer enough.Stop()
	select {
	case <-before.idle:
	case <-enough.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
