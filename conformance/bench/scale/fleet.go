// SPDX-License-Identifier: Apache-2.0

package scale

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/fakes/hollow"
)

// perProgram is how many nodes one process has at the most.
const perProgram = 50

// fleet is the nodes of a trial, in some processes.
type fleet struct {
	programs []*hollow.Program
	of       map[string]int // the program of a node
}

// newFleet starts the processes; their nodes are not open yet.
func newFleet(ctx context.Context, o *Options, command []string, nodes int) (*fleet, error) {
	f := &fleet{of: map[string]int{}}
	for range (nodes + perProgram - 1) / perProgram {
		p, err := hollow.Start(ctx, command, o.Stderr)
		if err != nil {
			return nil, errors.Join(err, f.stop())
		}
		f.programs = append(f.programs, p)
	}
	return f, nil
}

func (f *fleet) stop() error {
	return f.all(func(_ int, p *hollow.Program) error { return p.Stop() })
}

// all calls do with all programs at once.
func (f *fleet) all(do func(i int, p *hollow.Program) error) error {
	failed := make([]error, len(f.programs))
	var calls sync.WaitGroup
	for i, p := range f.programs {
		calls.Go(func() { failed[i] = do(i, p) })
	}
	calls.Wait()
	return errors.Join(failed...)
}

// open opens all nodes at once and returns how long each took.
func (f *fleet) open(ctx context.Context, w *world, nodes []hollow.Identity) ([]time.Duration, error) {
	server, err := url.Parse(w.server.Config.Host)
	if err != nil {
		return nil, err
	}
	took := make([][]time.Duration, len(f.programs))
	parts := slices.Collect(slices.Chunk(nodes, perProgram))
	for i, part := range parts {
		for _, id := range part {
			f.of[id.Name] = i
		}
	}
	err = f.all(func(i int, p *hollow.Program) (err error) {
		took[i], err = p.Open(ctx, hollow.Access{Address: server.Host, CA: w.server.Config.CAData, Nodes: parts[i]})
		return err
	})
	return slices.Concat(took...), err
}

// await has write make a definition what d says, and returns how long after its begin
// each node knew.
func (f *fleet) await(ctx context.Context, d hollow.Definition, write func() error) ([]time.Duration, error) {
	waits := make([]func() (hollow.Known, error), len(f.programs))
	for i, p := range f.programs {
		waits[i] = p.Await(ctx, d)
	}
	// Requests are taken up in their order: when this one is answered, all look.
	if _, err := f.count(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := write(); err != nil {
		return nil, err
	}
	var took []time.Duration
	for _, wait := range waits {
		known, err := wait()
		if err != nil {
			return nil, err
		}
		for _, at := range known {
			took = append(took, at.Sub(start))
		}
	}
	slices.Sort(took)
	return took, nil
}

// attach attaches pods, so many a second, and returns how long each took.
func (f *fleet) attach(ctx context.Context, pods []hollow.Pod, perSecond float64) ([]time.Duration, error) {
	work := make([]hollow.Work, len(f.programs))
	for _, pod := range pods {
		w := &work[f.of[pod.Node]]
		w.Pods = append(w.Pods, pod)
	}
	took := make([][]time.Duration, len(f.programs))
	err := f.all(func(i int, p *hollow.Program) (err error) {
		if len(work[i].Pods) == 0 {
			return nil
		}
		work[i].PerSecond = perSecond * float64(len(work[i].Pods)) / float64(len(pods))
		took[i], err = p.Attach(ctx, work[i])
		return err
	})
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, err
}

// breakAll breaks the connections of all nodes.
func (f *fleet) breakAll(ctx context.Context) error {
	return f.all(func(_ int, p *hollow.Program) error { return p.Break(ctx) })
}

// count is the traffic of all nodes.
func (f *fleet) count(ctx context.Context) (total hollow.Traffic, err error) {
	parts := make([]hollow.Traffic, len(f.programs))
	err = f.all(func(i int, p *hollow.Program) (err error) {
		parts[i], err = p.Count(ctx)
		return err
	})
	for _, t := range parts {
		total.Sent, total.Received, total.Connections = total.Sent+t.Sent, total.Received+t.Received, total.Connections+t.Connections
	}
	return total, err
}

// memory returns how much memory the nodes' processes use, in MiB.
func (f *fleet) memory() (total float64, err error) {
	for _, p := range f.programs {
		m, err := resident(p.PID())
		if err != nil {
			return 0, err
		}
		total += m
	}
	return total, nil
}
