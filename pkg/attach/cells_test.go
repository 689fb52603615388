// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestExecKillsWhatLeavesItsSession ends a process in a session of its own,
// with cgroups and without, and one whose parent has ended, with cgroups.
func TestExecKillsWhatLeavesItsSession(t *testing.T) {
	cells := NewCells(slog.New(slog.DiscardHandler))
	defer cells.Close()
	for name, tc := range map[string]struct {
		cells  *Cells
		script string
	}{
		"without cgroups":            {nil, `setsid sh -c "echo \$\$ > PID.tmp; mv PID.tmp PID; exec sleep 1000" & wait`},
		"in a cgroup":                {cells, `setsid sh -c "echo \$\$ > PID.tmp; mv PID.tmp PID; exec sleep 1000" & wait`},
		"in a cgroup, as an orphan":  {cells, `(setsid sh -c "echo \$\$ > PID.tmp; mv PID.tmp PID; exec sleep 1000" &); sleep 1000`},
		"in a cgroup, after failure": {cells, `(setsid sh -c "echo \$\$ > PID.tmp; mv PID.tmp PID; exec sleep 1000" &); while ! test -e PID; do :; done; exit 1`},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.cells != nil && tc.cells.take() == nil {
				t.Skip("no cgroups of version 2 can be made here")
			}
			pidFile := filepath.Join(t.TempDir(), "pid")
			e := &Exec{TimeLimit: 3 * time.Second, Cells: tc.cells} // in which the child has to start
			_ = execError(t, e, strings.ReplaceAll(tc.script, "PID", pidFile))
			text, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			await(t, func() bool { return syscall.Kill(pid, 0) != nil || isZombie(pid) })
		})
	}
}

func isZombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// TestCellsAreUsedAgain runs plugins one after the other in one cell, and
// removes it.
func TestCellsAreUsedAgain(t *testing.T) {
	cells := NewCells(slog.New(slog.DiscardHandler))
	first := cells.take()
	if first == nil {
		t.Skip("no cgroups of version 2 can be made here")
	}
	cells.give(first)
	e := &Exec{Cells: cells}
	for range 5 {
		if _, err := e.ExecPlugin(t.Context(), plugin(t, "exit 0"), stdin, os.Environ()); err != nil {
			t.Fatal(err)
		}
	}
	if cells.made != 1 {
		t.Errorf("%d cells were made for one plugin at a time", cells.made)
	}
	cells.Close()
	if _, err := os.Stat(cells.dir); !os.IsNotExist(err) {
		t.Errorf("the cells are left: %v", err)
	}
}
