// SPDX-License-Identifier: Apache-2.0

package attach

import "sync"

// deletedMost is how many deleted containers are remembered: far more than a
// node has sandboxes, at some hundred bytes each.
const deletedMost = 4096

// deletedSet remembers the containers that this daemon has deleted last. A
// runtime may repeat a DEL, and the delegates of a container whose record is gone
// because it was deleted need not run again (DEL-02).
type deletedSet struct {
	mu  sync.Mutex
	ids map[string]bool
	// order has the ids in a ring, the oldest at next.
	order []string
	next  int
}

func (d *deletedSet) add(containerID string) {
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
	if len(d.order) < deletedMost {
		d.order = append(d.order, containerID)
		return
	}
	delete(d.ids, d.order[d.next])
	d.order[d.next] = containerID
	d.next = (d.next + 1) % deletedMost
}

// forget takes a container out that is attached again.
func (d *deletedSet) forget(containerID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[containerID] {
		d.ids[containerID] = false // its place in the ring stays
	}
}

func (d *deletedSet) has(containerID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids[containerID]
}
