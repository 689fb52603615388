// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"context"
	"time"
)

const (
	// DefaultSlow is how long a plugin runs before it is taken for one that hangs.
	DefaultSlow = 3 * time.Second
	// suspicion is how long a sandbox or a network is kept back after its last
	// plugin that hung or failed at DEL.
	suspicion = 10 * time.Minute
	// mostSuspects bounds what is remembered.
	mostSuspects = 4096
	// lull is how long no other plugin has run before one that is kept back takes
	// the last slot. A request has several plugins, with little in between.
	lull = 500 * time.Millisecond
)

// Owner is what a plugin runs for. Slots are shared out by it (SEC-11): what
// hangs is one sandbox's or one network's, and must not be everybody's.
type Owner struct{ Sandbox, Namespace, Network string }

type ownerKey struct{}

// WithOwner says what the plugins of a context run for.
func WithOwner(ctx context.Context, o Owner) context.Context {
	return context.WithValue(ctx, ownerKey{}, o)
}

// keys are what an owner is suspected by.
func (o Owner) keys() []string {
	var keys []string
	if o.Sandbox != "" {
		keys = append(keys, "sandbox "+o.Sandbox)
	}
	if o.Network != "" {
		keys = append(keys, "network "+o.Network)
	}
	return keys
}

// suspects are sandboxes and networks whose plugins hung lately, and until when
// they are kept back.
type suspects map[string]time.Time

func (s suspects) add(now time.Time, keys ...string) {
	for _, key := range keys {
		if len(s) >= mostSuspects {
			s.forget(now)
		}
		s[key] = now.Add(suspicion)
	}
}

// forget makes room: for what is over, and else for anything.
func (s suspects) forget(now time.Time) {
	for key, until := range s {
		if now.After(until) || len(s) >= mostSuspects {
			delete(s, key)
		}
	}
}

func (s suspects) has(now time.Time, keys ...string) bool {
	for _, key := range keys {
		if until, known := s[key]; known && now.Before(until) {
			return true
		}
	}
	return false
}

// Failed notes that a plugin of a sandbox failed at DEL. A DEL is asked for
// again and again; one that keeps failing does not go before the others.
func (g *Gate) Failed(o Owner) {
	if o.Sandbox == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.suspects.add(time.Now(), "sandbox "+o.Sandbox)
}

// judge notes whether a plugin that has ended was slow.
func (g *Gate) judge(w *waiter, now time.Time) {
	if now.Sub(w.began) >= g.o.Slow {
		g.suspects.add(now, w.keys...)
		return
	}
	if w.owner.Network != "" {
		delete(g.suspects, "network "+w.owner.Network)
	}
	if w.rank != rankDEL && w.owner.Sandbox != "" {
		delete(g.suspects, "sandbox "+w.owner.Sandbox)
	}
	if !w.suspect {
		g.lastTrusted = now
	}
}

// next returns the waiter that is to be let in next: those that are not kept
// back before the others, by rank, then by how few slots their namespace has,
// then by arrival.
func (g *Gate) next(now time.Time) *waiter {
	running, hanging := map[string]int{}, map[string]bool{}
	for w := range g.inside {
		if w.owner.Namespace != "" {
			running[w.owner.Namespace]++
		}
		if w.owner.Network != "" && now.Sub(w.began) >= g.o.Slow {
			hanging[w.owner.Network] = true
		}
	}
	var best *waiter
	for _, w := range g.queue {
		w.suspect = hanging[w.owner.Network] || g.suspects.has(now, w.keys...)
		if best == nil || w.before(best, running) {
			best = w
		}
	}
	return best
}

// before orders two waiters.
func (w *waiter) before(other *waiter, running map[string]int) bool {
	switch {
	case w.suspect != other.suspect:
		return other.suspect
	case w.place() != other.place():
		return w.place() < other.place()
	case running[w.owner.Namespace] != running[other.owner.Namespace]:
		return running[w.owner.Namespace] < running[other.owner.Namespace]
	default:
		return w.number < other.number
	}
}

// place is the rank, which a DEL that is kept back loses.
func (w *waiter) place() int {
	if w.suspect {
		return rankADD
	}
	return w.rank
}

// leavesRoom reports whether a slot is left when a plugin is let in that is kept
// back. Where there is one slot only, it waits until nobody else has run for a
// while, and returns how long that is.
func (g *Gate) leavesRoom(cost, budget int64, now time.Time) (yes bool, again time.Duration) {
	if g.running+1 < g.o.Most && (budget == 0 || g.used+cost+firstCost <= budget) {
		return true, 0
	}
	if g.running > 0 {
		return false, 0 // looked at when that one leaves
	}
	quiet := now.Sub(g.lastTrusted)
	return quiet >= lull, lull - quiet
}
