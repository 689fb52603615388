// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/tracing"
)

// Phase is a part of the time that a request takes.
type Phase string

// The phases of a request, in the order of an ADD.
const (
	// PhaseLock is waiting for another request of the same sandbox.
	PhaseLock Phase = "lock"
	// PhasePlan is finding the pod, its definitions and the delegates.
	PhasePlan Phase = "plan"
	// PhaseLedger is writing records.
	PhaseLedger Phase = "ledger"
	// PhaseQueue is waiting until a delegate may run.
	PhaseQueue Phase = "queue"
	// PhaseDelegates is running delegate plugins.
	PhaseDelegates Phase = "delegates"
	// PhaseStatus is publishing the network status.
	PhaseStatus Phase = "status"
)

// AllPhases are the phases in the order of an ADD.
var AllPhases = []Phase{PhaseLock, PhasePlan, PhaseLedger, PhaseQueue, PhaseDelegates, PhaseStatus}

// Phases adds up where a request's time goes. It is safe for concurrent use.
type Phases struct {
	mu    sync.Mutex
	spent map[Phase]time.Duration
	// delegates are the parts of PhaseDelegates, in the order of their beginning.
	delegates []delegateTime
}

// delegateTime is what the plugins of one attachment took.
type delegateTime struct {
	interfaceName string
	spent         time.Duration
}

type phasesKey struct{}

// WithPhases returns a context whose request is measured.
func WithPhases(ctx context.Context) (context.Context, *Phases) {
	p := &Phases{spent: map[Phase]time.Duration{}}
	return context.WithValue(ctx, phasesKey{}, p), p
}

// Spent is how long the request has been in a phase so far.
func (p *Phases) Spent(phase Phase) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spent[phase]
}

// LogValue implements slog.LogValuer: the phases that took any time, and of the
// delegates each interface's.
func (p *Phases) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, phase := range AllPhases {
		if d := p.Spent(phase); d > 0 {
			attrs = append(attrs, slog.Duration(string(phase), d.Round(time.Microsecond)))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.delegates {
		attrs = append(attrs, slog.Duration("delegate."+d.interfaceName, d.spent.Round(time.Microsecond)))
	}
	return slog.GroupValue(attrs...)
}

// timed measures until the function that it returns is called, and makes a span
// of it where the request has one (SEC-05); without WithPhases it measures nothing.
func timed(ctx context.Context, phase Phase) (done func()) {
	_, end := tracing.Span(ctx, string(phase))
	spent := timing(ctx, func(p *Phases, took time.Duration) { p.spent[phase] += took })
	return func() { spent(); end(nil) }
}

// timedDelegate measures the plugins of one interface, as timed does.
func timedDelegate(ctx context.Context, interfaceName string) (done func()) {
	return timing(ctx, func(p *Phases, took time.Duration) {
		p.spent[PhaseDelegates] += took
		if last := len(p.delegates) - 1; last >= 0 && p.delegates[last].interfaceName == interfaceName {
			p.delegates[last].spent += took
			return
		}
		p.delegates = append(p.delegates, delegateTime{interfaceName, took})
	})
}

// timing calls add, with p locked, when the function that it returns is called.
func timing(ctx context.Context, add func(p *Phases, took time.Duration)) (done func()) {
	p, ok := ctx.Value(phasesKey{}).(*Phases)
	if !ok {
		return func() {}
	}
	start := time.Now()
	return func() {
		took := time.Since(start)
		p.mu.Lock()
		defer p.mu.Unlock()
		add(p, took)
	}
}
