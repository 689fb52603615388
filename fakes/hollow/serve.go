// SPDX-License-Identifier: Apache-2.0

package hollow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"sync"
	"time"
)

// serviceName is what the methods of a program are called by: "Nodes.Open".
const serviceName = "Nodes"

const (
	// look is how often it is looked whether a node knows a definition.
	look = time.Millisecond
	// patience is how long the nodes may take for what they are to do.
	patience = 3 * time.Minute
)

// Serve serves hollow nodes, which open makes, until in ends; that also ends them.
func Serve(ctx context.Context, in io.ReadCloser, out io.Writer, open Open) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &service{ctx: ctx, open: open}
	defer s.running.Wait()
	defer cancel()
	server := rpc.NewServer()
	if err := server.RegisterName(serviceName, &Methods{s}); err != nil {
		return err
	}
	server.ServeCodec(jsonrpc.NewServerCodec(pipes{in, out}))
	return nil
}

// pipes are a program's input and output as one connection.
type pipes struct {
	io.ReadCloser
	io.Writer
}

type service struct {
	ctx     context.Context
	open    Open
	wire    wire
	running sync.WaitGroup
	nodes   map[string]Node
	order   []Node
}

// Methods are what a program can be asked, one request at a time but for Count.
type Methods struct{ s *service }

// Open opens the nodes all at once, as a DaemonSet's rollout may at the worst, and
// returns how long each took to be ready.
func (m *Methods) Open(a Access, took *[]time.Duration) error {
	s := m.s
	s.nodes = map[string]Node{}
	for _, id := range a.Nodes {
		address, err := s.wire.forward(s.ctx, a.Address)
		if err != nil {
			return err
		}
		node, err := s.open(id, address, a.CA)
		if err != nil {
			return fmt.Errorf("node %s: %w", id.Name, err)
		}
		s.nodes[id.Name], s.order = node, append(s.order, node)
	}
	failed := make(chan error, len(s.order))
	start := time.Now()
	for _, n := range s.order {
		s.running.Go(func() {
			if err := n.Run(s.ctx); err != nil {
				failed <- err
			}
		})
	}
	return s.awaitReady(start, failed, took)
}

// awaitReady waits for all nodes.
func (s *service) awaitReady(start time.Time, failed <-chan error, took *[]time.Duration) error {
	*took = make([]time.Duration, len(s.order))
	var waiting sync.WaitGroup
	for i, n := range s.order {
		waiting.Go(func() {
			select {
			case <-n.Ready():
				(*took)[i] = time.Since(start)
			case <-s.ctx.Done():
			}
		})
	}
	all := make(chan struct{})
	go func() { waiting.Wait(); close(all) }()
	select {
	case <-all:
		return s.ctx.Err()
	case err := <-failed:
		return err
	case <-time.After(patience):
		return fmt.Errorf("not all of %d nodes are ready after %s", len(s.order), patience)
	}
}

// Await waits until all nodes know a definition, and returns when each did.
func (m *Methods) Await(d Definition, known *Known) error {
	s := m.s
	*known = make(Known, len(s.order))
	tick := time.NewTicker(look)
	defer tick.Stop()
	late := time.After(patience)
	for left := len(s.order); ; {
		for i, n := range s.order {
			if (*known)[i].IsZero() && n.Knows(d) {
				(*known)[i] = time.Now()
				left--
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-late:
			return fmt.Errorf("%d of %d nodes do not know %s/%s after %s", left, len(s.order), d.Namespace, d.Name, patience)
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// Attach attaches pods, and returns how long each took.
func (m *Methods) Attach(w Work, took *[]time.Duration) error {
	s := m.s
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	*took = make([]time.Duration, len(w.Pods))
	failed := make([]error, len(w.Pods))
	tick := time.NewTicker(time.Duration(float64(time.Second) / w.PerSecond))
	defer tick.Stop()
	var attaching sync.WaitGroup
	for i, pod := range w.Pods {
		node := s.nodes[pod.Node]
		if node == nil {
			return fmt.Errorf("pod %s/%s: there is no node %q in this program", pod.Namespace, pod.Name, pod.Node)
		}
		if i > 0 {
			<-tick.C
		}
		attaching.Go(func() {
			start := time.Now()
			failed[i] = node.Attach(ctx, pod)
			(*took)[i] = time.Since(start)
		})
	}
	attaching.Wait()
	return errors.Join(failed...)
}

// Break breaks all connections of the nodes, as the end of an API server does. The
// nodes can connect again at once.
func (m *Methods) Break(_ struct{}, _ *struct{}) error {
	m.s.wire.breakAll()
	return nil
}

// Count returns what went over the nodes' connections.
func (m *Methods) Count(_ struct{}, t *Traffic) error {
	*t = m.s.wire.traffic()
	return nil
}
