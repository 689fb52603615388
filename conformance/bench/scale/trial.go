// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/thicket-cni/thicket/fakes/hollow"
)

const (
	// restTime is how long nodes at rest are watched: in a minute each watch has one
	// bookmark, and one that lives no longer than that is opened again once.
	restTime = time.Minute
	// idleTime is how long the API server is watched before the nodes come.
	idleTime = 10 * time.Second
	// settleTime is how long an API server may take to come to rest after its start,
	// and calm the share of a core that it then uses at the most, in calmTime.
	settleTime = 30 * time.Second
	calmTime   = time.Second
	calm       = 0.15
	// againTime is how long it is watched what nodes do when their connections broke,
	// comeTime how much longer they may take to follow again.
	againTime = 10 * time.Second
	comeTime  = 30 * time.Second
	// changeCount is how many definitions change, one after the other.
	changeCount = 20
	// podsPerNode is how many pods each node attaches, podRate how many begin in a
	// second among all nodes.
	podsPerNode = 2
	podRate     = 40
	// seenTime is from a pod's making to its ADD: a node knows it for longer than half
	// a second then, as when a kubelet had to do something for it before.
	seenTime = 1500 * time.Millisecond
	// tailTime is how long what a daemon sends in the background may take, its events.
	tailTime = 1500 * time.Millisecond
	// freshNodes is how many nodes attach a pod that they have just heard of,
	// freshBatch how many at a time, and freshTime the time from its making on.
	freshNodes = 50
	freshBatch = 10
	freshTime  = 50 * time.Millisecond
)

// trial is a number of nodes that is being measured.
type trial struct {
	options *Options
	world   *world
	fleet   *fleet
	nodes   int
	// idle is the share of a core that kube-apiserver uses without nodes.
	idle float64
	// watches is how many of what daemons follow others follow: the API server itself.
	watches float64
	result  Trial
}

// try measures one number of nodes.
func try(ctx context.Context, o *Options, d Daemon, nodes int) (_ *Trial, err error) {
	w, err := newWorld(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	f, err := newFleet(ctx, o, d.Command, nodes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	t := &trial{options: o, world: w, fleet: f, nodes: nodes, result: Trial{Nodes: nodes}}
	identities, err := t.prepare(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.rollout(ctx, identities); err != nil {
		return nil, err
	}
	for _, measure := range []func(context.Context) error{t.again, t.rest, t.changes, t.attach, t.fresh} {
		if err := measure(ctx); err != nil {
			return nil, err
		}
	}
	t.result.HollowMiB, err = f.memory()
	return &t.result, err
}

// prepare makes what is there before the nodes come, and measures the API server
// without them.
func (t *trial) prepare(ctx context.Context) ([]hollow.Identity, error) {
	t.options.Progress("scale: making %d pods", residentPods*t.nodes)
	for i := range residentPods {
		if _, err := t.world.pods(ctx, fmt.Sprintf("resident-%d", i), allNodes(t.nodes)...); err != nil {
			return nil, err
		}
	}
	identities, err := t.world.identities(ctx, t.nodes)
	if err != nil {
		return nil, err
	}
	if err := t.settle(ctx); err != nil {
		return nil, err
	}
	if t.result.Idle, err = t.world.memory(ctx); err != nil {
		return nil, err
	}
	s, err := t.during(ctx, func() error { return pause(ctx, idleTime) })
	if err != nil {
		return nil, err
	}
	t.idle = s.api / s.seconds
	c, err := t.world.counts(ctx)
	t.watches = sum(c.watches)
	return identities, err
}

func allNodes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// settle waits until kube-apiserver, which has just started, has come to rest.
func (t *trial) settle(ctx context.Context) error {
	_, api := t.world.server.PIDs()
	late := time.Now().Add(settleTime)
	for {
		before, err := processor(api)
		if err != nil {
			return err
		}
		if err := pause(ctx, calmTime); err != nil {
			return err
		}
		after, err := processor(api)
		if err != nil {
			return err
		}
		if (after - before).Seconds() < calm*calmTime.Seconds() {
			return nil
		}
		if time.Now().After(late) {
			t.options.Progress("scale: the API server has not come to rest in %s: its processor time will be too much", settleTime)
			return nil
		}
	}
}

// during returns what is spent while do does something.
func (t *trial) during(ctx context.Context, do func() error) (spent, error) {
	before, err := t.begin(ctx)
	if err != nil {
		return spent{}, err
	}
	if err := do(); err != nil {
		return spent{}, err
	}
	after, err := t.end(ctx)
	if err != nil {
		return spent{}, err
	}
	return after.since(&before, t.idle), nil
}

// rollout opens all nodes at once.
func (t *trial) rollout(ctx context.Context, identities []hollow.Identity) error {
	t.options.Progress("scale: %d nodes start", t.nodes)
	var took []time.Duration
	s, err := t.during(ctx, func() (err error) {
		took, err = t.fleet.open(ctx, t.world, identities)
		return err
	})
	if err != nil {
		return err
	}
	requests := s.requests
	for what, n := range s.watches {
		requests[what] += n
	}
	t.result.Rollout = Rollout{Seconds: slices.Max(took).Seconds(), Processor: s.api, MiB: mib(s.received), Requests: share(requests, float64(t.nodes))}
	return nil
}

// again breaks all connections. What comes after it is measured with watches that
// have no list before them: the API server compresses those that have.
func (t *trial) again(ctx context.Context) error {
	t.options.Progress("scale: all connections break")
	if err := pause(ctx, tailTime); err != nil {
		return err
	}
	s, err := t.during(ctx, func() error {
		if err := t.fleet.breakAll(ctx); err != nil {
			return err
		}
		return pause(ctx, againTime)
	})
	if err != nil {
		return err
	}
	t.result.Again = Rollout{Processor: s.api, MiB: mib(s.received), Requests: share(s.requests, float64(t.nodes))}
	// Two watches for each node, or what is measured from here on is not at rest.
	return t.awaitWatches(ctx, 2*t.nodes)
}

// awaitWatches waits until so many watches are open.
func (t *trial) awaitWatches(ctx context.Context, want int) error {
	for late := time.Now().Add(comeTime); ; {
		c, err := t.world.counts(ctx)
		if err != nil {
			return err
		}
		open := int(sum(c.watches) - t.watches)
		if open >= want {
			return nil
		}
		if time.Now().After(late) {
			return fmt.Errorf("%d nodes have %d watches open %s after their connections broke, want %d", t.nodes, open, againTime+comeTime, want)
		}
		if err := pause(ctx, calmTime); err != nil {
			return err
		}
	}
}

// rest watches nodes that have nothing to do.
func (t *trial) rest(ctx context.Context) error {
	t.options.Progress("scale: %d nodes rest for %s", t.nodes, restTime)
	if err := pause(ctx, calmTime); err != nil {
		return err
	}
	s, err := t.during(ctx, func() error { return pause(ctx, restTime) })
	if err != nil {
		return err
	}
	minutes := s.seconds / time.Minute.Seconds()
	t.result.Rest = Rest{Processor: 100 * s.api / s.seconds, Requests: share(s.requests, float64(t.nodes)*minutes),
		Events: sum(s.events) / float64(t.nodes) / minutes, KiB: kib(s.received+s.sent) / s.seconds}
	t.result.Memory, err = t.world.memory(ctx)
	return err
}

// changes changes definitions one after the other, each when all know the one before.
func (t *trial) changes(ctx context.Context) error {
	t.options.Progress("scale: %d definitions change", changeCount)
	var all, half []float64
	s, err := t.during(ctx, func() error {
		for i := range changeCount {
			d, write := t.world.change(ctx, i, 1)
			took, err := t.fleet.await(ctx, d, write)
			if err != nil {
				return err
			}
			half, all = append(half, milliseconds(quantile(took, .5))), append(all, milliseconds(took[len(took)-1]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(all)
	slices.Sort(half)
	events := definitions.Resource
	t.result.Change = Change{Milliseconds: all[len(all)/2], Half: half[len(half)/2], Slowest: all[len(all)-1], Processor: 1000 * s.api / changeCount,
		Events: s.events[events] / changeCount, EventKiB: kib(s.eventByte[events]) / changeCount, KiB: kib(s.received) / changeCount}
	return nil
}

// attach attaches pods on all nodes.
func (t *trial) attach(ctx context.Context) error {
	var pods []hollow.Pod
	for i := range podsPerNode {
		more, err := t.world.pods(ctx, fmt.Sprintf("added-%d", i), allNodes(t.nodes)...)
		if err != nil {
			return err
		}
		pods = append(pods, more...)
	}
	t.options.Progress("scale: %d pods are attached, %d a second", len(pods), podRate)
	if err := pause(ctx, seenTime); err != nil {
		return err
	}
	var took []time.Duration
	s, err := t.during(ctx, func() (err error) {
		if took, err = t.fleet.attach(ctx, pods, podRate); err != nil {
			return err
		}
		return pause(ctx, tailTime)
	})
	if err != nil {
		return err
	}
	n := float64(len(pods))
	t.result.Pod = Pod{Milliseconds: milliseconds(quantile(took, .5)), P99: milliseconds(quantile(took, .99)), Requests: share(s.requests, n),
		Processor: 1000 * s.api / n, Store: 1000 * s.etcd / n, Events: s.events["pods"] / n, KiB: kib(s.received+s.sent) / n}
	return nil
}

// fresh attaches pods that their nodes have just heard of.
func (t *trial) fresh(ctx context.Context) error {
	nodes := allNodes(min(t.nodes, freshNodes))
	s, err := t.during(ctx, func() error {
		for batch := range slices.Chunk(nodes, freshBatch) {
			pods, err := t.world.pods(ctx, "fresh", batch...)
			if err != nil {
				return err
			}
			if err := pause(ctx, freshTime); err != nil {
				return err
			}
			if _, err := t.fleet.attach(ctx, pods, freshBatch/freshTime.Seconds()); err != nil {
				return err
			}
		}
		return pause(ctx, tailTime)
	})
	if err != nil {
		return err
	}
	delete(s.requests, "POST pods") // the measurement's own
	t.result.Fresh = share(s.requests, float64(len(nodes)))
	return nil
}

// quantile takes sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1)+.5)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// pause waits for some time, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
