// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// moments follows an execution from one change to the next: each time that the
// plugin, or a program that it executes, has changed a file or sent a message of
// netlink that asks for a change.
//
// The plugin is traced by ptrace(2). Only the thread that started it may do that,
// and it has to do nothing else.
type moments struct {
	// kill is the change after which the execution is killed, 1 for the first; 0
	// for none.
	kill int
	// made are the changes, in the order in which they ended.
	made []string

	tracees map[int]*tracee
}

// tracee is a thread that is traced.
type tracee struct {
	pid int
	// begun is the change that its system call makes, "" for none.
	begun string
}

// follow traces a process, which has asked for it and is stopped at its first
// instruction, until it has ended, and leaves it to be waited for. kill ends it.
func (m *moments) follow(leader int, kill func()) error {
	m.tracees = map[int]*tracee{}
	var status unix.WaitStatus
	if _, err := unix.Wait4(leader, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("wait for the plugin's first stop: %w", err)
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC
	if err := unix.PtraceSetOptions(leader, options); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	m.tracees[leader] = &tracee{pid: leader}
	if err := unix.PtraceSyscall(leader, 0); err != nil {
		return fmt.Errorf("ptrace: %w", err)
	}
	for {
		pid, ended, err := nextStop()
		if err != nil {
			return fmt.Errorf("wait for the plugin: %w", err)
		}
		if pid == leader && ended {
			return nil
		}
		// Only children of this thread: the process has others.
		if _, err := unix.Wait4(pid, &status, unix.WALL|unix.WNOTHREAD, nil); err != nil {
			continue // it was ended meanwhile
		}
		if status.Stopped() {
			m.stopped(pid, status, kill)
		}
	}
}

// nextStop waits until one of this thread's tracees has stopped or ended, and
// leaves it so.
func nextStop() (pid int, ended bool, err error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, false, err
		default:
			const trapped = 4 // CLD_TRAPPED; those before it are of an end
			return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), pidOfSiginfo))), info.Code < trapped, nil
		}
	}
}

// pidOfSiginfo is where siginfo_t has a child's process id: behind three numbers,
// at the next multiple of a pointer's size.
const pidOfSiginfo = (12 + unsafe.Sizeof(uintptr(0)) - 1) / unsafe.Sizeof(uintptr(0)) * unsafe.Sizeof(uintptr(0))

// stopped has a tracee go on, and notes what it has changed.
func (m *moments) stopped(pid int, status unix.WaitStatus, kill func()) {
	t, known := m.tracees[pid]
	if !known {
		t = &tracee{pid: pid}
		m.tracees[pid] = t
	}
	deliver := 0
	switch signal := status.StopSignal(); {
	case signal == unix.SIGTRAP|syscallStop:
		if made := t.systemCall(); made != "" {
			m.made = append(m.made, made)
			if len(m.made) == m.kill {
				kill()
				return
			}
		}
	case signal == unix.SIGTRAP && status.TrapCause() > 0: // an event of ptrace's own
	case signal == unix.SIGSTOP && !known: // how a new thread begins
	default:
		deliver = int(signal)
	}
	_ = unix.PtraceSyscall(pid, deliver) // it may have been ended
}

// syscallStop marks the stops at system calls, by PTRACE_O_TRACESYSGOOD.
const syscallStop = 0x80

// systemCall looks at a system call that begins or ends, and returns the change
// that it has made when it ends.
func (t *tracee) systemCall() string {
	// struct ptrace_syscall_info.
	var info struct {
		op      uint8
		_       [3]uint8
		arch    uint32
		ip, sp  uint64
		nr      uint64 // the result, when the system call ends
		args    [6]uint64
		_, _, _ uint64
	}
	_, _, failed := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(t.pid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if failed != 0 {
		return ""
	}
	switch info.op {
	case unix.PTRACE_SYSCALL_INFO_ENTRY:
		t.begun = ""
		if c, may := changes[info.nr]; may {
			t.begun = c.of(t, info.args)
		}
	case unix.PTRACE_SYSCALL_INFO_EXIT:
		made := t.begun
		t.begun = ""
		if int64(info.nr) >= 0 {
			return made
		}
	}
	return ""
}

// group is the process that a thread is of.
func (t *tracee) group() int {
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(t.pid) + "/status")
	for line := range strings.Lines(string(status)) {
		if text, yes := strings.CutPrefix(line, "Tgid:"); yes {
			if id, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
				return id
			}
		}
	}
	return t.pid
}
