// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
	"github.com/thicket-cni/thicket/conformance/vm/event"
	"github.com/thicket-cni/thicket/pkg/api"
)

const (
	// clients is how many there are: more would wait for the two processors.
	clients = 3
	// killAfter is when the daemon is killed at the latest, in one boot of three, and
	// away how long it stays so: DELs are recorded by shims meanwhile.
	killAfter, away = 4 * time.Second, 2 * time.Second
)

// load has clients add, plug and delete until the power is cut.
func (s *story) load(ctx context.Context) {
	s.send(event.Event{Kind: event.Loading})
	var all sync.WaitGroup
	begin := func(part uint64, f func(random *rand.Rand)) {
		all.Go(func() {
			defer ginkgo.GinkgoRecover()
			f(rand.New(rand.NewPCG(s.Seed, part)))
		})
	}
	for i := range clients {
		begin(uint64(i), func(random *rand.Rand) {
			for ctx.Err() == nil {
				s.pod(ctx, random)
			}
		})
	}
	begin(clients, func(random *rand.Rand) {
		if random.IntN(3) == 0 {
			s.killDaemon(ctx, random)
		}
	})
	all.Wait()
}

// pod is one pod's life. One of four stays until the power is cut.
func (s *story) pod(ctx context.Context, random *rand.Rand) {
	box := s.e.Sandbox(node.Networks("second"))
	who := event.Sandbox{ID: box.ID, Netns: box.Netns, Namespace: box.PodNamespace, Pod: box.PodName, UID: box.PodUID}
	if !s.add(ctx, box, who) {
		s.delete(ctx, box, who)
		return
	}
	if s.e.Supports(thick.FeatureHotplug) && random.IntN(2) == 0 {
		s.plug(ctx, box, who, "ADD")
		if random.IntN(2) == 0 {
			s.plug(ctx, box, who, "DEL")
		}
	}
	if random.IntN(4) != 0 {
		s.delete(ctx, box, who)
	}
}

// add asks for a sandbox's attachments, and sees that nobody else has its address.
func (s *story) add(ctx context.Context, box *node.Sandbox, who event.Sandbox) bool {
	s.daemon.RLock()
	defer s.daemon.RUnlock()
	s.send(event.Event{Kind: event.Begun, Command: "ADD", Sandbox: &who})
	run := s.e.Shim(ctx, "ADD", box)
	s.send(event.Event{Kind: event.Answered, Command: "ADD", Sandbox: &who, OK: run.ExitCode == 0})
	if run.ExitCode != 0 {
		s.found("ADD fails though nothing gave it a reason: %s %s", run.Stdout, run.Stderr)
		return false
	}
	s.holding.Lock()
	defer s.holding.Unlock()
	for _, ip := range run.Result100().IPs {
		address := ip.Address.IP.String()
		if other := s.holders[address]; other != "" {
			s.found("RES-09: %s is given to %.12s, and %.12s still has it", address, box.ID, other)
		}
		s.holders[address] = box.ID
	}
	return true
}

// delete asks for a DEL. A shim that finds no daemon records it, and succeeds.
func (s *story) delete(ctx context.Context, box *node.Sandbox, who event.Sandbox) {
	s.holding.Lock()
	for address, id := range s.holders {
		if id == box.ID {
			delete(s.holders, address) // it may be given away as soon as DEL is at work
		}
	}
	s.holding.Unlock()
	s.send(event.Event{Kind: event.Begun, Command: "DEL", Sandbox: &who})
	run := s.e.Shim(ctx, "DEL", box)
	s.send(event.Event{Kind: event.Answered, Command: "DEL", Sandbox: &who, OK: run.ExitCode == 0})
	if run.ExitCode == 0 {
		box.RemoveNetns()
	}
}

// plug makes one hot-plug's request.
func (s *story) plug(ctx context.Context, box *node.Sandbox, who event.Sandbox, command string) {
	s.daemon.RLock()
	defer s.daemon.RUnlock()
	r := expect.HotplugRequest(s.e, box, command, s.bridge("hot", 2))
	s.send(event.Event{Kind: event.Begun, Command: "hot-plug " + command, Sandbox: &who})
	a := s.e.Post(ctx, api.MultusDelegateAPIEndpoint, r)
	s.send(event.Event{Kind: event.Answered, Command: "hot-plug " + command, Sandbox: &who, OK: a.OK()})
	if !a.OK() {
		s.found("a hot-plug's %s fails though nothing gave it a reason: %s", command, a)
	}
}

// killDaemon kills the daemon between requests for it, once, and starts another one.
func (s *story) killDaemon(ctx context.Context, random *rand.Rand) {
	pause(ctx, time.Duration(random.Int64N(int64(killAfter))))
	s.daemon.Lock()
	defer s.daemon.Unlock()
	s.send(event.Event{Kind: event.Killed})
	s.serving.Kill()
	pause(ctx, away)
	s.start(ctx)
}

// pause waits for a time to pass, or for the end of the story.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
