// SPDX-License-Identifier: Apache-2.0

package attach

import "sync"

// recentMost is how many containers are remembered: far more than a
// node has sandboxes, at some hundred bytes each.
const recentMost = 4096

// recentSet remembers the containers that this daemon has deleted last. A
// runtime may repeat a DEL, and the delegates of a container whose record is gone
// because it was deleted need not run again (DEL-02). So it does of pods for which
// there was an ADD (RES-13).
type recentSet struct {
	mu  sync.Mutex
	ids map[string]bool
	// order has the ids in a ring, the oldest at next.
	order []string
	next  int
}

func (d *recentSet) add(containerID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids == nil {
		d.ids = map[string]bool{}
	}
	_, listed := d.ids[containerID]
	d.ids[containerID] = true
	if listed {
		return
	}
	if len(d.order) < recentMost {
		d.order = append(d.order, containerID)
		return
	}
	delete(d.ids, d.order[d.next])
	d.order[d.next] = containerID
	d.next = (d.next + 1) % recentMost
}

// forget takes a container out that is attached again.
func (d *recentSet) forget(containerID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[containerID] {
		d.ids[containerID] = false // its place in the ring stays
	}
}

func (d *recentSet) has(containerID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids[containerID]
}
