// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"time"

	"github.com/prometheus/procfs"
)

// clock counts a machine's own time: the processor's time that its emulator has
// spent, and when all of its threads sleep by themselves, the host's. A machine that
// is not let run, because the host stands still or is busy, has no time that passes.
type clock struct {
	*time.Ticker
	pid    int
	spent  time.Duration
	passed time.Duration
}

// interval is the time between two looks. What the host has not looked at for longer
// may have been a time in which it stood still.
const interval = time.Second

// clock returns the machine's, which begins now. The caller calls tick whenever C
// says so.
func (m *Machine) clock() *clock { return clockOf(m.cmd.Process.Pid) }

func clockOf(pid int) *clock {
	c := &clock{Ticker: time.NewTicker(interval), pid: pid}
	c.tick()
	c.passed = 0
	return c
}

// tick adds what has passed. A process that cannot be seen has ended, which others
// report.
func (c *clock) tick() {
	spent, asleep, err := processorTime(c.pid)
	if err != nil {
		return
	}
	if asleep {
		c.passed += max(interval, spent-c.spent)
	} else {
		c.passed += spent - c.spent
	}
	c.spent = spent
}

// processorTime is what a process has spent, for itself and in the kernel, and
// whether all of its threads sleep until something happens (proc(5): state S; one
// that waits for a processor is R, one that is stopped T, or D).
func processorTime(pid int) (time.Duration, bool, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, false, err
	}
	stat, err := process.Stat()
	if err != nil {
		return 0, false, err
	}
	threads, err := procfs.AllThreads(pid)
	if err != nil {
		return 0, false, err
	}
	asleep := true
	for _, t := range threads {
		s, err := t.Stat()
		asleep = asleep && err == nil && s.State == "S"
	}
	return time.Duration(stat.CPUTime() * float64(time.Second)), asleep, nil
}
