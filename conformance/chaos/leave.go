// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"time"

	"github.com/thicket-cni/thicket/conformance/node"
)

// past is a sandbox that no slot has any more, and that the daemon still has to
// delete something of.
type past struct {
	box     *node.Sandbox
	entered time.Time
	story   []string
}

// leave ends a sandbox: by DEL, however often that has to be asked, or as one
// that the runtime has lost and GC has to find.
func (s *slot) leave() {
	if s.ctx.Err() != nil {
		return
	}
	box := s.box
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.box = nil
	}()
	if s.gc && !s.fails && s.random.IntN(100) < 8 {
		s.lose(box)
		return
	}
	early := s.random.IntN(100) < 20
	if early {
		s.e.DeletePod(box)
	}
	clean, deleted := s.del()
	if !early {
		s.e.DeletePod(box)
	}
	switch {
	case !deleted:
	case clean:
		if left := s.remains(box); len(left) > 0 {
			s.violate("DEL was answered with success, and there still are %v", left)
		}
		box.RemoveNetns()
	default:
		s.promise(box)
	}
}

// del asks for DEL until it is answered with success. A clean answer came from a
// daemon that was there all the time: any other is a promise.
func (s *slot) del() (clean, deleted bool) {
	for began := time.Now(); s.ctx.Err() == nil; s.think(s.ctx) {
		s.operations.RLock()
		o := s.shim("DEL", s.box.Env("DEL"), s.shimConfig)
		s.operations.RUnlock()
		if s.judge(o, away|readOnly, s.fails) {
			return s.timeline.since(o.began)&away == 0, true
		}
		if time.Since(began) > patience {
			s.violate("DEL was not answered with success for %s", patience)
			return false, false
		}
	}
	return false, false
}

// lose has the runtime forget a sandbox without a DEL.
func (s *slot) lose(box *node.Sandbox) {
	s.notef("the runtime loses the sandbox")
	s.e.DeletePod(box)
	box.RemoveNetns()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, &past{box, s.entered, s.story})
}

// promise keeps a sandbox whose DEL was answered while the daemon was away: it
// has to be carried out when there is one again. Half of the runtimes remove the
// namespace meanwhile.
func (s *slot) promise(box *node.Sandbox) {
	if s.random.IntN(2) == 0 {
		s.notef("the runtime removes the namespace")
		box.RemoveNetns()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.promised = append(s.promised, &past{box, s.entered, s.story})
}
