// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// table is where the fault ipam-owner-last keeps leases: a file that is mapped into
// memory, as some databases are. A slot has an address, which is text with zeros
// behind it, and its owner in the same way.
type table []byte

const (
	slotSize  = 96
	ownerAt   = 48
	slotCount = 512
)

// withTable calls f while this process alone has the table.
func (l *leases) withTable(f func(*leases) error) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(l.dir, "table")
	// Only the first execution changes what a directory or a descriptor shows.
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err != nil || info.Size() == 0 {
		if err = errors.Join(err, file.Truncate(slotSize*slotCount)); err != nil {
			return err
		}
	}
	if l.table, err = unix.Mmap(int(file.Fd()), 0, slotSize*slotCount, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(l.table) }()
	return f(l)
}

func (t table) all() ([]lease, error) {
	var all []lease
	for slot := range slices.Chunk(t, slotSize) {
		addr, err := netip.ParseAddr(text(slot[:ownerAt]))
		if err == nil {
			all = append(all, lease{addr, key(text(slot[ownerAt:]))})
		}
	}
	return all, nil
}

// take takes an address, and says whose it is when it is too late for some.
func (t table) take(x lease) error {
	for slot := range slices.Chunk(t, slotSize) {
		if slot[0] != 0 {
			continue
		}
		copy(slot, x.addr.String())
		time.Sleep(20 * time.Millisecond)
		copy(slot[ownerAt:], x.of)
		return nil
	}
	return errors.New("the table is full")
}

func (t table) release(x lease) {
	for slot := range slices.Chunk(t, slotSize) {
		if text(slot[:ownerAt]) == x.addr.String() && text(slot[ownerAt:]) == string(x.of) {
			clear(slot)
		}
	}
}

// text is what stands before the first zero.
func text(of []byte) string {
	before, _, _ := bytes.Cut(of, []byte{0})
	return string(before)
}
