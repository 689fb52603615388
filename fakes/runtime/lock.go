// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// locks are held until the program ends, however it does.
type locks []*os.File

func (l *locks) release() {
	for _, f := range *l {
		_ = f.Close()
	}
	*l = nil
}

// take waits for a lock, shared with others or not.
func (l *locks) take(path string, shared bool) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	*l = append(*l, f)
	how := unix.LOCK_EX
	if shared {
		how = unix.LOCK_SH
	}
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(f.Fd()), how)
	}
	return err
}

// lockContainer has this program alone work on the container, and no GC of its
// networks at the same time. Networks come first, as GC has them, so that nobody waits for
// somebody who waits.
func (c *call) lockContainer() (*locks, error) {
	l := &locks{}
	if c.has(noContainerLock) {
		return l, nil
	}
	networks := strings.Split(c.networks, ",")
	slices.Sort(networks)
	if c.has(addBesideGC) {
		networks = nil
	}
	for _, name := range slices.Compact(networks) {
		if err := l.take(c.networkLock(name), true); err != nil {
			return l, err
		}
	}
	return l, l.take(c.pathOf(c.id, ".lock"), false)
}

// lockNetwork has GC alone work on the network.
func (c *call) lockNetwork(name string) (*locks, error) {
	l := &locks{}
	if c.has(gcBesideAdd) {
		return l, nil
	}
	return l, l.take(c.networkLock(name), false)
}

func (c *call) networkLock(name string) string { return filepath.Join(c.cacheDir, "net-"+name+".lock") }
