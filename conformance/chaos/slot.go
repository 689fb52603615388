// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/node"
)

const (
	// thinking bounds how long a client waits between two requests.
	thinking = 400 * time.Millisecond
	// patience is how long a request is repeated that fails for a reason.
	patience = 3 * time.Minute
)

// slot is a place for one pod after the other. Its goroutine is the only one
// that makes requests for its sandbox: the CNI specification forbids parallel
// operations on one container.
type slot struct {
	*chaos
	random *rand.Rand
	// box is the sandbox of now, nil for none; it is written with chaos.mu held.
	box     *node.Sandbox
	entered time.Time
	// What has to be: the interfaces by name, the network of each, whether a
	// delegate may fail that is told to, and which interface was broken.
	attached map[string]network
	plugs    map[string]*plug
	fails    bool
	broken   string
	story    []string
}

// run serves one pod after the other until it is told to stop; the last one's
// DEL is waited for.
func (s *slot) run(stop context.Context) {
	for stop.Err() == nil && s.ctx.Err() == nil {
		s.enter()
		for more, left := s.add(), 2+s.random.IntN(8); more && left > 0; left-- {
			s.think(stop)
			more = stop.Err() == nil && s.act()
		}
		s.think(stop)
		s.leave()
	}
}

// enter makes the next pod and its sandbox.
func (s *slot) enter() {
	names, attached := []string{}, map[string]network{"eth0": {name: "default", looks: true}}
	fails := false
	for _, at := range s.random.Perm(len(networks))[:s.random.IntN(3)] {
		n := networks[at]
		names = append(names, n.name)
		attached[fmt.Sprintf("net%d", len(names))] = n
		fails = fails || n.fails
	}
	box := s.e.Sandbox(node.Networks(strings.Join(names, ",")))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.box, s.attached, s.plugs, s.fails, s.broken = box, attached, map[string]*plug{}, fails, ""
	s.story, s.entered = nil, time.Now()
	s.notef("a pod with networks %v", names)
}

// add asks for the sandbox's attachments, and reports whether they are there.
func (s *slot) add() bool {
	s.operations.RLock()
	o := s.shim("ADD", s.box.Env("ADD"), s.shimConfig)
	s.operations.RUnlock()
	return s.judge(o, away|readOnly, s.fails) && s.expectInterfaces("after ADD")
}

// act makes one of the requests that an attached sandbox gets, and reports
// whether there is more to ask of it.
func (s *slot) act() bool {
	switch n := s.random.IntN(100); {
	case n < 35 && s.hotplug:
		s.plugOrUnplug()
	case n < 40:
		s.breakInterface()
		return false
	case n < 80:
		return s.check()
	}
	return true
}

// check asks CHECK until the answer is one about the sandbox: while the daemon
// is away there is none.
func (s *slot) check() bool {
	began := time.Now()
	for s.ctx.Err() == nil && time.Since(began) < patience {
		o := s.shim("CHECK", s.box.Env("CHECK"), s.shimConfig)
		if s.judge(o, away, false) {
			return s.expectInterfaces("after CHECK")
		}
		if s.timeline.since(o.began)&away == 0 {
			return false
		}
		s.think(s.ctx)
	}
	return s.ctx.Err() == nil && s.violate("CHECK was not answered with success for %s", patience)
}

// breakInterface removes an interface behind the daemon's back, after which
// CHECK has to fail. The sandbox is good for nothing but DEL then.
func (s *slot) breakInterface() {
	var looking []string
	for name, n := range s.attached {
		if n.looks {
			looking = append(looking, name)
		}
	}
	slices.Sort(looking)
	s.broken = looking[s.random.IntN(len(looking))]
	s.box.DeleteInterface(s.broken)
	s.notef("the interface %s is removed behind the daemon's back", s.broken)
	for s.ctx.Err() == nil {
		o := s.shim("CHECK", s.box.Env("CHECK"), s.shimConfig)
		o.what = "CHECK of a broken sandbox"
		disturbed := s.timeline.since(o.began)&away != 0
		switch {
		case o.ok:
			s.count(o.what, verdictFailed)
			s.violate("CHECK succeeds though the interface %s is gone", s.broken)
			return
		case !disturbed && (o.late || o.code == 0):
			s.count(o.what, verdictFailed)
			s.violate("%s has no CNI error for an answer: %s", o.what, o.text)
			return
		case !disturbed:
			s.notef("CHECK fails as it has to: %s", o.text)
			s.count(o.what, verdictGood)
			return
		}
		s.count(o.what, verdictExcused)
		s.think(s.ctx)
	}
}

// think waits as long as a client does between requests, or until it is told to
// stop.
func (s *slot) think(stop context.Context) {
	select {
	case <-stop.Done():
	case <-time.After(time.Duration(s.random.Int64N(int64(thinking)))):
	}
}

// expectInterfaces compares the sandbox's interfaces with what has to be there.
func (s *slot) expectInterfaces(when string) bool {
	there := s.box.InterfaceNames()
	for name := range s.wanted() {
		if !slices.Contains(there, name) {
			return s.violate("%s the interface %s is missing; there are %v", when, name, there)
		}
	}
	return true
}

// wanted are the interfaces that have to be there.
func (s *slot) wanted() map[string]bool {
	want := map[string]bool{}
	for name := range s.attached {
		want[name] = name != s.broken
	}
	for name, p := range s.plugs {
		if p.state == plugged {
			want[name] = true
		}
	}
	return want
}

// notef adds a line to the sandbox's story.
func (s *slot) notef(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf("%6.2f s  ", time.Since(s.timeline.began).Seconds())+fmt.Sprintf(format, args...))
}
