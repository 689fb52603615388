// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/thicket-cni/thicket/pkg/background"
)

const (
	// MostRunning bounds the plugins that run at once where memory does not: more
	// of them would only wait for each other in the kernel.
	MostRunning = 64
	// DefaultPatience is how long an ADD may wait before its next plugin runs. A
	// kubelet gives up after two minutes; by then a rollback must be over.
	DefaultPatience = 90 * time.Second
)

// ErrPatience says that a plugin has not been let in within the gate's
// patience: the caller should answer "try again later", CNI's code 11.
var ErrPatience = errors.New("the node is busy attaching other pods")

// Options is what a Gate is made of.
type Options struct {
	// Budget returns how many bytes all running plugins may use together, 0 for
	// any number. It is asked again at every decision; nil means no bound.
	Budget func() int64
	// Most is how many plugins may run at once; 0 means MostRunning.
	Most int
	// Patience is how long an ADD waits; 0 means DefaultPatience.
	Patience time.Duration
	// Slow is how long a plugin runs before it is taken for one that hangs; 0
	// means DefaultSlow.
	Slow time.Duration
}

// Gate lets plugins in. Its methods are safe for concurrent use.
type Gate struct {
	o       Options
	mu      sync.Mutex
	queue   queue
	inside  map[*waiter]bool
	running int
	// used is what the running plugins are expected to use, in bytes.
	used              int64
	costs             costs
	refused, admitted uint64
	suspects          suspects
	// lastTrusted is when a plugin last ended that was not kept back.
	lastTrusted time.Time
	// again is when a plugin that is kept back is looked at once more, nil when
	// none is.
	again *time.Timer
}

// New returns a Gate.
func New(o Options) *Gate {
	if o.Most <= 0 {
		o.Most = MostRunning
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	if o.Budget == nil {
		o.Budget = func() int64 { return 0 }
	}
	if o.Slow <= 0 {
		o.Slow = DefaultSlow
	}
	return &Gate{o: o, costs: costs{}, inside: map[*waiter]bool{}, suspects: suspects{}}
}

// arrivals numbers requests in the order of WithArrival.
var arrivals atomic.Uint64

type arrivalKey struct{}

type arrival struct {
	number uint64
	at     time.Time
}

// WithArrival notes when a request came. What it runs later keeps that place
// in the queue.
func WithArrival(ctx context.Context) context.Context {
	return context.WithValue(ctx, arrivalKey{}, arrival{arrivals.Add(1), time.Now()})
}

// Enter returns when the plugin may run. command is its CNI_COMMAND. The
// returned function must be called when it has ended, with the most memory it
// had, in bytes, or 0 when that is not known. The error is ctx's, or ErrPatience.
func (g *Gate) Enter(ctx context.Context, command, plugin string) (leave func(peak int64), err error) {
	came, ok := ctx.Value(arrivalKey{}).(arrival)
	if !ok {
		came = arrival{arrivals.Add(1), time.Now()}
	}
	owner, _ := ctx.Value(ownerKey{}).(Owner)
	g.mu.Lock()
	w := &waiter{rank: rank(command), number: came.number, plugin: plugin, owner: owner, keys: owner.keys(), ready: make(chan struct{})}
	g.queue = append(g.queue, w)
	g.admit()
	g.mu.Unlock()
	if err := g.wait(ctx, w, came.at); err != nil {
		return nil, err
	}
	return func(peak int64) { g.leave(w, peak) }, nil
}

// wait returns when w was let in, or takes it out of the queue. Nothing but an
// ADD has to be quick: a DEL that is given up would only be asked for again.
func (g *Gate) wait(ctx context.Context, w *waiter, since time.Time) error {
	var impatient <-chan time.Time
	if w.rank == rankADD {
		timer := time.NewTimer(g.o.Patience - time.Since(since))
		defer timer.Stop()
		impatient = timer.C
	}
	// One that is let in at once is so even when its request came long ago.
	select {
	case <-w.ready:
		return nil
	default:
	}
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-impatient:
		err = fmt.Errorf("%w: plugin %q has waited for %s", ErrPatience, w.plugin, g.o.Patience)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.queue.remove(w) { // let in at the same moment
		g.release(w)
	}
	g.refused++
	g.admit()
	return err
}

// admit lets in the next ones as long as there is room; the first of all always
// has room. It never looks past the next one: small plugins would otherwise
// keep a large one out for ever.
func (g *Gate) admit() {
	now := time.Now()
	for len(g.queue) > 0 {
		next := g.next(now)
		cost, budget := g.costs.of(next.plugin), g.o.Budget()
		full := g.running >= g.o.Most || budget > 0 && g.used+cost > budget
		if full && g.running > 0 {
			return
		}
		if next.suspect {
			if yes, again := g.leavesRoom(cost, budget, now); !yes {
				g.lookAgain(again)
				return
			}
		}
		g.queue.remove(next)
		next.cost, next.began = cost, now
		g.inside[next] = true
		g.running++
		g.used += cost
		g.admitted++
		close(next.ready)
	}
}

// lookAgain has admit called after a while, unless it is called before.
func (g *Gate) lookAgain(after time.Duration) {
	if after <= 0 || g.again != nil {
		return
	}
	g.again = time.AfterFunc(after, func() { _ = background.Try(nil, "admission", g.admitAgain) })
}

func (g *Gate) admitAgain() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.again = nil
	g.admit()
	return nil
}

func (g *Gate) release(w *waiter) {
	delete(g.inside, w)
	g.running--
	g.used -= w.cost
}

func (g *Gate) leave(w *waiter, peak int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.costs.learn(w.plugin, peak)
	g.judge(w, time.Now())
	g.release(w)
	g.admit()
}

// Bounded says whether memory decides how many plugins run: then it is worth
// knowing what each of them uses.
func (g *Gate) Bounded() bool { return g.o.Budget() > 0 }

// State is what a Gate is doing, for metrics and logs.
type State struct {
	// Running and Waiting count plugins.
	Running, Waiting int
	// Used is what the running ones are expected to use and Budget what they
	// may, in bytes; a Budget of 0 is no bound.
	Used, Budget int64
	// Admitted and GaveUp count plugins since the start.
	Admitted, GaveUp uint64
}

// State returns what the gate is doing now.
func (g *Gate) State() State {
	g.mu.Lock()
	defer g.mu.Unlock()
	return State{Running: g.running, Waiting: len(g.queue), Used: g.used, Budget: g.o.Budget(), Admitted: g.admitted, GaveUp: g.refused}
}
