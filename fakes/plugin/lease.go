// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// lease is one address that is given out. Its file's name says all that counts,
// so a file that was cut off or damaged is as good as a whole one.
type lease struct {
	addr netip.Addr
	of   key
}

// leases is the directory of the leases; callers hold its lock.
type leases struct {
	dir string
	c   *call
	// table takes the files' place with the fault ipam-owner-last.
	table table
}

// withLeases calls f with the network's leases, locked.
func (c *call) withLeases(f func(l *leases) error) error {
	l := &leases{dir: c.conf.IPAM.DataDir, c: c}
	switch {
	case c.has(ipamNoLock):
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return err
		}
		return f(l)
	case c.has(ipamLockFile):
		return l.withLockFile(f)
	case c.has(ipamOwnerLast):
		return l.withTable(f)
	}
	return locked(l.dir, func() error { return f(l) })
}

// all returns the leases of the network.
func (l *leases) all() ([]lease, error) {
	if l.table != nil {
		return l.table.all()
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var all []lease
	for _, e := range entries {
		text, of, ok := strings.Cut(e.Name(), ",")
		addr, err := netip.ParseAddr(text)
		if ok && err == nil && key(of).of(l.c.conf.Name) && l.readable(e.Name()) {
			all = append(all, lease{addr, key(of)})
		}
	}
	return all, nil
}

// readable is always true without a fault.
func (l *leases) readable(name string) bool {
	if l.c.has(ipamIndexFile) && l.c.env.command != "ADD" {
		index, _ := os.ReadFile(filepath.Join(l.dir, "index"))
		return strings.Contains(string(index), name)
	}
	if !l.c.has(ipamDamaged) || l.c.env.command == "ADD" {
		return true
	}
	data, err := os.ReadFile(filepath.Join(l.dir, name))
	return err == nil && json.Valid(data)
}

func (l *leases) path(x lease) string {
	return filepath.Join(l.dir, x.addr.String()+","+string(x.of))
}

// take writes a lease. The content is for people.
func (l *leases) take(x lease) error {
	if l.table != nil {
		return l.table.take(x)
	}
	owner, err := json.Marshal(map[string]string{"network": l.c.conf.Name, "containerID": l.c.env.container, "ifname": l.c.env.ifname})
	if err != nil {
		return err
	}
	return os.WriteFile(l.path(x), append(owner, '\n'), 0o600)
}

// release removes those leases that f chooses and reports how many there were.
func (l *leases) release(f func(lease) bool) (int, error) {
	all, err := l.all()
	if err != nil {
		return 0, err
	}
	n := 0
	var failed error
	for _, x := range all {
		if !f(x) {
			continue
		}
		if l.table != nil {
			l.table.release(x)
		} else if err := os.Remove(l.path(x)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
		n++
	}
	return n, failed
}

// withLockFile is the lock of the fault ipam-lock-file.
func (l *leases) withLockFile(f func(l *leases) error) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(l.dir, "lock")
	for tries := 0; ; tries++ {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_ = file.Close()
			break
		}
		if tries == 300 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	err := f(l)
	time.Sleep(5 * time.Millisecond)
	_ = os.Remove(path)
	_ = os.Remove(l.dir)
	return err
}
