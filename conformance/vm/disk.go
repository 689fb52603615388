// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
)

// sector is what a disk writes at once, in bytes: that of today's disks. One that tore
// smaller writes would lose ext4's superblock, which has 1024 bytes and no second copy
// that is looked for.
const sector = 4096

// Disk is a disk with a cache that forgets: what was written and not flushed may be
// gone after a power cut, as a whole or in part, whatever was written later. Without
// it a power cut would lose only what the machine has in its own memory.
type Disk struct {
	mu sync.Mutex
	// now is what a machine reads, durable what has been flushed.
	now, durable []byte
	// cached are the writes since, in their order.
	cached []write
	// flushes counts.
	flushes int
	// countdown is how many writes come until the disk stops answering, if not zero;
	// then stopped is closed.
	countdown int
	stopped   chan struct{}
}

// write is one request of a machine.
type write struct {
	offset int64
	data   []byte
}

// ReadDisk makes a disk of an image.
func ReadDisk(image string) (*Disk, error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	return &Disk{now: data, durable: append([]byte(nil), data...)}, nil
}

// size is in bytes.
func (d *Disk) size() int64 { return int64(len(d.now)) }

// readAt reads what a machine sees.
func (d *Disk) readAt(offset, length int64) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.within(offset, length); err != nil {
		return nil, err
	}
	return append([]byte(nil), d.now[offset:offset+length]...), nil
}

// StopAfter has the disk answer nothing any more once so many further writes are in
// its cache, which is when the channel is closed, until CutPower. A machine waits for
// a disk that is busy, so the power can be cut between any write and the flush that
// it is for: a time hardly ever meets that.
func (d *Disk) StopAfter(writes int) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.countdown, d.stopped = writes, make(chan struct{})
	return d.stopped
}

// written counts a write, and reports whether the disk has stopped.
func (d *Disk) written() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.countdown == 0 {
		return false
	}
	if d.countdown--; d.countdown > 0 {
		return false
	}
	close(d.stopped)
	return true
}

// writeAt writes into the cache.
func (d *Disk) writeAt(offset int64, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.within(offset, int64(len(data))); err != nil {
		return err
	}
	copy(d.now[offset:], data)
	d.cached = append(d.cached, write{offset, data})
	return nil
}

func (d *Disk) within(offset, length int64) error {
	if offset < 0 || length < 0 || offset+length > d.size() {
		return fmt.Errorf("%d bytes at %d of a disk of %d", length, offset, d.size())
	}
	return nil
}

// flush makes durable what is in the cache.
func (d *Disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.cached {
		copy(d.durable[w.offset:], w.data)
	}
	d.cached = nil
	d.flushes++
}

// CutPower forgets of the cache what chance decides: nothing, all, or some of the
// writes, and the end of some. It returns how many writes were in the cache, and how
// many of them are not there as a whole. No machine may use the disk.
func (d *Disk) CutPower(random *rand.Rand) (cached, lost int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := random.IntN(4) // of four writes, on average
	for _, w := range d.cached {
		part := len(w.data)
		if random.IntN(3) >= kept {
			part = random.IntN(2) * sector * random.IntN(len(w.data)/sector+1) // half of these are torn
		}
		copy(d.durable[w.offset:], w.data[:part])
		if cached++; part < len(w.data) {
			lost++
		}
	}
	d.cached, d.countdown = nil, 0
	copy(d.now, d.durable)
	return cached, lost
}
