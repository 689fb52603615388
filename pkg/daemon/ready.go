// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/admission"
)

const (
	// attachableFor is how long an answer about what every pod needs is given
	// again: probes come from whoever can reach their port, and may be many.
	attachableFor = 100 * time.Millisecond
	// attachableTimeout bounds the look.
	attachableTimeout = 2 * time.Second
)

// conditions are closed when ADD is let in (READY-07). They may be others at the
// next call: a node's CNI configuration can go away again.
func (d *Daemon) conditions() []<-chan struct{} {
	return []<-chan struct{}{d.cluster.Ready(), d.node.Ready(), d.replayed}
}

// unready says why ADD is not served, or cannot succeed for any pod; it is empty
// when nothing is in the way (READY-07, ST-03).
func (d *Daemon) unready(ctx context.Context) string {
	select {
	case <-d.draining:
		return "the daemon is stopping"
	default:
	}
	for _, condition := range d.conditions() {
		select {
		case <-condition:
		default:
			return "waiting for " + d.waitingFor()
		}
	}
	return d.attachable.look(ctx, d)
}

// waitingFor says what an ADD waits for, for logs and errors.
func (d *Daemon) waitingFor() string {
	if what := d.cluster.Waiting(); what != "" {
		return what
	}
	if what := d.node.Waiting(); what != "" {
		return what
	}
	if what := d.engine.Unseen(); what != "" {
		return what
	}
	return "the replay of the ledger"
}

// attachable remembers for a moment what keeps every pod from being attached.
type attachable struct {
	mu     sync.Mutex
	looked time.Time
	why    string
}

// look returns what keeps every pod from being attached, and logs when that
// changes.
func (a *attachable) look(ctx context.Context, d *Daemon) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.looked) < attachableFor {
		return a.why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attachableTimeout)
	defer cancel()
	why := ""
	if err := d.engine.Ready(ctx); err != nil {
		why = err.Error()
	}
	switch {
	case why != "" && why != a.why:
		d.log.Warn("no pod can be attached", "reason", why)
	case why == "" && a.why != "":
		d.log.Info("pods can be attached again")
	}
	a.looked, a.why = time.Now(), why
	return why
}

// sayReady logs what the daemon waits for, and that it waits no more.
func (d *Daemon) sayReady(ctx context.Context) {
	if what := d.cluster.Waiting(); what != "" {
		d.log.Info("not ready yet", "waitingFor", what)
	}
	for _, condition := range d.conditions() {
		select {
		case <-condition:
		case <-ctx.Done():
			return
		}
	}
	if err := admission.ReleaseStart(); err != nil {
		d.log.Debug("what the start has read of the executable stays mapped", "error", err)
	}
	if d.attachable.look(ctx, d) == "" {
		d.log.Info("ready")
	}
}
