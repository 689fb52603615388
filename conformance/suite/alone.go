// SPDX-License-Identifier: Apache-2.0

package suite

import "sync"

// machine is where the cases of all runs of this process run.
var machine = &floor{}

// floor lets cases run side by side, and gives itself to one that has to be
// alone. Runs may be side by side too: a case that has to be alone waits until
// no run has others to do. Asking for it earlier would stop every run until the
// longest case in progress ends.
type floor struct {
	mu sync.RWMutex

	counting sync.Mutex
	// busy is how many runs have cases that do not have to be alone.
	busy int
	// idle is closed when busy becomes 0, and made anew after that.
	idle chan struct{}
}

// enter says that a run has cases to run side by side.
func (f *floor) enter() {
	f.counting.Lock()
	defer f.counting.Unlock()
	if f.busy == 0 {
		f.idle = make(chan struct{})
	}
	f.busy++
}

// leave says that a run has none of them any more.
func (f *floor) leave() {
	f.counting.Lock()
	defer f.counting.Unlock()
	if f.busy--; f.busy == 0 {
		close(f.idle)
	}
}

// beside runs f beside others.
func (f *floor) beside(run func()) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	run()
}

// alone runs f with nothing beside it, once no run has other cases to do.
func (f *floor) alone(run func()) {
	f.counting.Lock()
	idle := f.idle
	f.counting.Unlock()
	if idle != nil {
		<-idle
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	run()
}
