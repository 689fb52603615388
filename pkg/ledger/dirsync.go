// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"os"
	"sync"

	"github.com/thicket-cni/thicket/pkg/background"
)

// dirSync syncs a directory for many writers at once. A sync makes durable
// whatever was in the directory when it began, so that all who ask while one is
// under way share the next one: 150 sandboxes at once wait for the disk a few
// times and not 150 times.
type dirSync struct {
	root *os.Root
	// sync is (*os.File).Sync; a test counts it.
	sync func(*os.File) error

	mu      sync.Mutex
	running bool
	// next is the sync that has not begun yet, nil when nobody has asked.
	next *round
}

// round is one sync that several wait for.
type round struct {
	done chan struct{}
	err  error
}

// ask returns the next sync to begin, and has it begin: when it is done, the
// directory, as it is now, is on the disk.
func (d *dirSync) ask() *round {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next == nil {
		d.next = &round{done: make(chan struct{})}
	}
	if !d.running {
		d.running = true
		background.Start(nil, "syncing the ledger", func() error { d.rounds(); return nil })
	}
	return d.next
}

// rounds syncs as long as somebody asks.
func (d *dirSync) rounds() {
	for {
		d.mu.Lock()
		r := d.next
		d.next = nil
		if r == nil {
			d.running = false
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		r.err = background.Try(nil, "syncing the ledger", d.once)
		close(r.done)
	}
}

func (d *dirSync) once() error {
	dir, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return d.sync(dir)
}
