// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/thicket-cni/thicket/pkg/cgroup"
)

// cellsPrefix begins the names of the cgroups that hold a daemon's cells.
const cellsPrefix = "thicket-delegates-"

// Cells are cgroups (version 2) below the daemon's own, in which plugins run
// one at a time. Whatever a plugin starts stays in its cell, in whichever
// process group or session, and all of a cell is ended together (SEC-16).
// Cells have no limits: what runs in them is accounted to the daemon's cgroup as
// before.
//
// A cell is kept for the next plugin, because making one takes as long as a
// small part of a plugin. One in which a plugin has left a service, a DHCP
// client say, is the service's from then on.
type Cells struct {
	log *slog.Logger
	// open makes dir, once; it is empty where there can be no cells.
	open sync.Once
	dir  string
	// hold says to other daemons that this one lives.
	hold *os.File

	mu sync.Mutex
	// free are empty cells. Something still runs in the used ones: a service, or
	// what was killed a moment ago.
	free, used []*cell
	// made counts all cells.
	made int
}

// cell is one of them.
type cell struct {
	path   string
	dir    *os.File
	events *os.File
}

// NewCells returns cells that are made when the first plugin runs.
func NewCells(log *slog.Logger) *Cells { return &Cells{log: log} }

// begin finds the daemon's own cgroup and removes what daemons that were killed
// have left there. An older kernel, or a hierarchy that is mounted read-only,
// has no place for cells.
func (c *Cells) begin() {
	own, err := cgroup.Own()
	if err == nil {
		sweepCells(own)
		err = c.beginIn(own)
	}
	if err != nil {
		c.dir = ""
		c.log.Info("delegates run without cgroups of their own: a process that leaves its parent may outlive the delegate's time limit", "reason", err)
	}
}

// beginIn makes the first cell below a cgroup.
func (c *Cells) beginIn(own string) error {
	random := make([]byte, 6)
	_, _ = rand.Read(random)
	c.dir = filepath.Join(own, fmt.Sprintf("%s%x", cellsPrefix, random))
	if err := os.Mkdir(c.dir, 0o755); err != nil { //nolint:gosec // as all cgroups are
		return fmt.Errorf("cgroup: %w", err)
	}
	var err error
	if c.hold, err = holdCells(c.dir); err != nil {
		return errors.Join(err, os.Remove(c.dir))
	}
	first, err := c.make()
	if err != nil {
		removeCells(c.dir)
		return err
	}
	c.free = append(c.free, first)
	return nil
}

// holdCells takes the lock of a directory of cells, which a daemon has as long
// as it lives.
func holdCells(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("cgroup %s: %w", dir, err), f.Close())
	}
	return f, nil
}

// Close removes the cells. Those that a service lives in stay.
func (c *Cells) Close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range append(c.free, c.used...) {
		one.close()
	}
	c.free, c.used = nil, nil
	if c.dir != "" {
		removeCells(c.dir)
		_ = c.hold.Close()
	}
}

// take returns an empty cell, nil where none can be made.
func (c *Cells) take() *cell {
	if c == nil {
		return nil
	}
	c.open.Do(c.begin)
	if c.dir == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) == 0 {
		former := c.used
		c.used = nil
		for _, one := range former {
			c.keep(one)
		}
	}
	if last := len(c.free) - 1; last >= 0 {
		one := c.free[last]
		c.free = c.free[:last]
		return one
	}
	one, err := c.make()
	if err != nil {
		return nil // the plugin runs without, as where there are no cgroups
	}
	return one
}

// give takes a cell back whose plugin has ended.
func (c *Cells) give(one *cell) {
	if one == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(one)
}

// keep puts a cell where it belongs. One that is gone, because another daemon
// found it empty, is forgotten.
func (c *Cells) keep(one *cell) {
	switch empty, err := one.empty(); {
	case err != nil:
		one.close()
	case empty:
		c.free = append(c.free, one)
	default:
		c.used = append(c.used, one)
	}
}

func (c *Cells) make() (*cell, error) {
	c.made++
	one := &cell{path: filepath.Join(c.dir, strconv.Itoa(c.made))}
	if err := os.Mkdir(one.path, 0o755); err != nil { //nolint:gosec // as all cgroups are
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	var err error
	if _, err = os.Stat(filepath.Join(one.path, "cgroup.freeze")); err == nil {
		one.dir, err = os.Open(one.path)
	}
	if err == nil {
		one.events, err = os.Open(filepath.Join(one.path, "cgroup.events"))
	}
	if err != nil {
		one.close()
		return nil, errors.Join(fmt.Errorf("cgroup: %w", err), os.Remove(one.path))
	}
	return one, nil
}

// fd is what a plugin is started in; the cell stays open as long as it is used.
func (one *cell) fd() int { return int(one.dir.Fd()) }

// killRounds is how often a cell is looked at that is being ended.
const killRounds = 200

// kill ends everything in the cell. It is frozen meanwhile, so that nothing in
// it starts anything. It is not the file cgroup.kill that does it: some kernels
// then kill what is started in the cell later, too.
func (one *cell) kill() {
	one.freeze("1")
	defer one.freeze("0")
	for range killRounds {
		pids := one.processes()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(time.Millisecond) // the kernel says nothing when the last one has ended
	}
}

func (one *cell) freeze(state string) {
	_ = os.WriteFile(filepath.Join(one.path, "cgroup.freeze"), []byte(state), 0)
}

// processes lists what runs in the cell and can be seen from here.
func (one *cell) processes() []int {
	text, err := os.ReadFile(filepath.Join(one.path, "cgroup.procs"))
	if err != nil {
		return nil
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		// One of another pid namespace has the number 0.
		if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// empty reports whether nothing runs in the cell. The error means that there is
// no such cgroup any more.
func (one *cell) empty() (bool, error) {
	var buffer [128]byte
	n, err := one.events.ReadAt(buffer[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return bytes.Contains(buffer[:n], []byte("populated 0")), nil
}

func (one *cell) close() {
	if one.dir != nil {
		_ = one.dir.Close()
	}
	if one.events != nil {
		_ = one.events.Close()
	}
}

// sweepCells removes the cells of daemons that were killed.
func sweepCells(own string) {
	former, err := filepath.Glob(filepath.Join(own, cellsPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range former {
		if hold, err := holdCells(dir); err == nil {
			removeCells(dir)
			_ = hold.Close()
		}
	}
}

// removeCells removes the cells below a directory, and it. The kernel refuses
// to remove one that something runs in.
func removeCells(dir string) {
	cells, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, one := range cells {
		if one.IsDir() {
			_ = os.Remove(filepath.Join(dir, one.Name()))
		}
	}
	_ = os.Remove(dir)
}
