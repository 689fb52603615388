// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

const (
	// publishRetryMin and publishRetryMax bound the pause before a status is
	// published again that the cluster did not take; it doubles each time.
	publishRetryMin = time.Second
	publishRetryMax = 10 * time.Second
	// lateAtOnce is how many late statuses are published side by side.
	lateAtOnce = 8
)

// publisher makes the network status of sandboxes known, one for each pod: a
// newer one takes the place of what is being published. It goes on when the
// request does not wait any longer, with the same write: an API server that is
// slow is not asked twice (RES-14).
type publisher struct {
	cluster cluster.Cluster
	wait    time.Duration
	// settle is called for what was late and is done with.
	settle func(ctx context.Context, p *publication)
	log    *slog.Logger
	all    background.Group
	slots  chan struct{}

	mu sync.Mutex
	// now are the publications by pod.
	now    map[string]*publication
	closed bool
}

// publication is the status of one sandbox on its way.
type publication struct {
	containerID string
	pod         *cluster.Pod
	status      []cluster.NetworkStatus

	stop context.CancelFunc
	// late, which publisher.mu guards, says that no request waits for it.
	late bool
	// outcome gets the error of what is not late; ended is closed when nothing is
	// written any more.
	outcome chan error
	ended   chan struct{}
}

func (p *publication) key() string { return p.pod.Namespace + "/" + p.pod.Name }

func newPublisher(c cluster.Cluster, wait time.Duration, settle func(context.Context, *publication), log *slog.Logger) *publisher {
	return &publisher{cluster: c, wait: wait, settle: settle, log: log, all: background.Group{Log: log},
		slots: make(chan struct{}, lateAtOnce), now: map[string]*publication{}}
}

// publish begins to publish and waits for it, but not for longer than the
// publisher's time: late means that it goes on. The error is the cluster's where
// trying again would not help, or that of ctx.
func (p *publisher) publish(ctx context.Context, this *publication) (late bool, err error) {
	if !p.begin(context.WithoutCancel(ctx), this, func() bool { return true }) {
		return true, nil
	}
	patience := time.NewTimer(p.wait)
	defer patience.Stop()
	select {
	case err := <-this.outcome:
		return false, err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-patience.C:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case err := <-this.outcome:
		return false, err
	default:
		this.late = true
		return true, nil
	}
}

// later publishes what no request waits for, as long as it is still wanted.
func (p *publisher) later(ctx context.Context, this *publication, wanted func() bool) {
	this.late = true
	p.begin(context.WithoutCancel(ctx), this, wanted)
}

// begin is false when the daemon is on its way out, or the publication is not
// wanted when it would take another's place.
func (p *publisher) begin(ctx context.Context, this *publication, wanted func() bool) bool {
	ctx, this.stop = context.WithCancel(ctx)
	this.outcome, this.ended = make(chan error, 1), make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !wanted() {
		this.stop()
		return false
	}
	former := p.now[this.key()]
	p.now[this.key()] = this
	if former != nil {
		former.stop()
	}
	p.all.Start("publishing a network status", func() {
		defer close(this.ended)
		defer p.leave(this)
		if former != nil {
			<-former.ended
		}
		p.run(ctx, this)
	})
	return true
}

// leave forgets a publication that has ended, unless a newer one has its place.
func (p *publisher) leave(this *publication) {
	this.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now[this.key()] == this {
		delete(p.now, this.key())
	}
}

// run tries until the cluster takes the status, or never will, or another one
// takes its place.
func (p *publisher) run(ctx context.Context, this *publication) {
	err := p.try(ctx, this)
	for pause := publishRetryMin; p.again(ctx, this, err); pause = min(2*pause, publishRetryMax) {
		p.log.Warn("a network status cannot be published yet; it is tried again", "pod", this.key(), "sandbox", this.containerID, "in", pause, "error", err)
		next := time.NewTimer(pause)
		select {
		case <-next.C:
			err = p.try(ctx, this)
		case <-ctx.Done():
			next.Stop()
		}
	}
	if ctx.Err() != nil {
		err = nil // another one is published, or none is wanted any more
	}
	p.mu.Lock()
	late := this.late
	this.outcome <- err
	p.mu.Unlock()
	if !late || ctx.Err() != nil {
		return
	}
	if err != nil {
		p.log.Error("a network status is not published", "pod", this.key(), "sandbox", this.containerID, "error", err)
	}
	p.settle(ctx, this)
}

// again reports whether another attempt may succeed. A request that waits is told
// at once that the right to write is missing: no other pod's status can be
// published either, and the daemon is not ready (ST-03).
func (p *publisher) again(ctx context.Context, this *publication, err error) bool {
	if cluster.IsForbidden(err) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return this.late && ctx.Err() == nil
	}
	var panicked *background.PanicError
	return err != nil && ctx.Err() == nil && !errors.Is(err, cluster.ErrNotFound) && !cluster.IsRefused(err) && !errors.As(err, &panicked)
}

// try publishes once. Those that are late share the slots, so that an API server
// that is back is not asked for everything at once.
func (p *publisher) try(ctx context.Context, this *publication) error {
	p.mu.Lock()
	late := this.late
	p.mu.Unlock()
	if late {
		select {
		case p.slots <- struct{}{}:
			defer func() { <-p.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return background.Try(p.log, "publishing a network status", func() error { return p.cluster.PublishStatus(ctx, this.pod, this.status) })
}

// cancel ends what is being published for a pod, if it is that container's:
// nothing is written after it has returned.
func (p *publisher) cancel(pod, containerID string) {
	p.mu.Lock()
	this := p.now[pod]
	p.mu.Unlock()
	if this == nil || this.containerID != containerID {
		return
	}
	this.stop()
	<-this.ended
}

// due counts the late ones.
func (p *publisher) due() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	count := 0
	for _, this := range p.now {
		if this.late {
			count++
		}
	}
	return count
}

// shutdown ends everything; what is late stays recorded.
func (p *publisher) shutdown() {
	p.mu.Lock()
	p.closed = true
	for _, this := range p.now {
		this.stop()
	}
	p.mu.Unlock()
	p.all.Wait()
}
