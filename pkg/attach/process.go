// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/background"
)

const (
	// pipeGrace is how long a plugin's pipes may stay open after it ended,
	// held by a process that it left behind.
	pipeGrace = 2 * time.Second
	// killPatience is how long a plugin that was killed may take to end. One
	// that waits for a disk or a network file system cannot be ended.
	killPatience = 5 * time.Second
	// firstLook is when it is looked for the first time what a plugin is doing.
	firstLook = 5 * time.Millisecond
	// watchInterval is how often it is looked whether a plugin has ended where
	// the kernel has no descriptor for a process (before Linux 5.2).
	watchInterval = 40 * time.Millisecond
)

// process is a plugin that runs in a process group of its own. It is not
// os/exec's, which has goroutines hand the plugin to each other. BenchmarkProcess
// compares the two, with the same promises: 1.19 times the processor time of
// daemon and plugin together, 77 allocations in place of 22, and, where other
// processes keep both processors busy, 2.5 times as long or more. Here one thread waits, in
// one place, for all that can happen.
type process struct {
	path string
	pid  int
	// pidfd is readable when the process has ended; -1 where there is none.
	pidfd int
	// cell is the cgroup that it runs in, nil for the daemon's own.
	cell *cell
	// killed is when it was killed, in nanoseconds since 1970, 0 when it was not.
	killed atomic.Int64
	// stdin is written to as long as the plugin reads; nil when all is written.
	stdin *os.File
	// stdout and stderr are what it prints to.
	stdout, stderr int
}

// startProcess starts a plugin in a cell, or in none, with stdin to read.
func startProcess(path string, environ []string, stdin []byte, chroot string, in *cell) (*process, error) {
	p, err := startIn(path, environ, stdin, chroot, in)
	if err != nil && in != nil {
		// The cgroup was removed, or the kernel cannot start anything in one. A
		// plugin that cannot be executed fails again.
		return startIn(path, environ, stdin, chroot, nil)
	}
	return p, err
}

func startIn(path string, environ []string, stdin []byte, chroot string, cell *cell) (*process, error) {
	p := &process{path: path, pidfd: -1, cell: cell}
	in, err := p.input(stdin)
	if err != nil {
		return nil, err
	}
	var out, errs [2]int
	err = unix.Pipe2(out[:], unix.O_CLOEXEC)
	if err == nil {
		if err = unix.Pipe2(errs[:], unix.O_CLOEXEC); err != nil {
			closeAll(out[0], out[1])
		}
	}
	if err != nil {
		closeAll(in)
		p.close()
		return nil, os.NewSyscallError("pipe2", err)
	}
	p.stdout, p.stderr = out[0], errs[0]
	attr := &syscall.ProcAttr{
		Env:   environ,
		Files: []uintptr{uintptr(in), uintptr(out[1]), uintptr(errs[1])},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Chroot: chroot, PidFD: &p.pidfd},
	}
	if chroot != "" {
		attr.Dir = "/"
	}
	if cell != nil {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, cell.fd()
	}
	p.pid, _, err = syscall.StartProcess(path, []string{path}, attr)
	closeAll(in, out[1], errs[1])
	if err != nil {
		p.close()
		return nil, &os.PathError{Op: "fork/exec", Path: path, Err: err}
	}
	return p, nil
}

// input makes a pipe to read data from. What a pipe does not take at once is
// written while it is read.
func (p *process) input(data []byte) (int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, os.NewSyscallError("pipe2", err)
	}
	_ = unix.SetNonblock(pipe[1], true)
	n, err := unix.Write(pipe[1], data)
	if err == nil && n == len(data) {
		closeAll(pipe[1])
		return pipe[0], nil
	}
	// Closing it ends a write that waits for a plugin which does not read.
	p.stdin = os.NewFile(uintptr(pipe[1]), "stdin")
	background.Start(nil, "writing a plugin's configuration", func() error {
		_, err := p.stdin.Write(data[max(n, 0):])
		return errors.Join(err, p.stdin.Close())
	})
	return pipe[0], nil
}

// close gives up what the daemon holds of the plugin.
func (p *process) close() {
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
	for _, fd := range []int{p.stdout, p.stderr, p.pidfd} {
		if fd > 0 {
			closeAll(fd)
		}
	}
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// run reads what the plugin prints until it has ended, and says how. When ctx
// ends, the plugin is killed with all that it started. look is called now and
// then as long as it runs, unless it is nil.
func (p *process) run(ctx context.Context, stdout, stderr io.Writer, look func()) error {
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { //nolint:contextcheck // ending it takes its own time: that of ctx is over
		defer close(killed)
		_ = background.Try(nil, "ending a plugin", func() error { p.kill(); return nil })
	})
	defer p.close()
	p.read(stdout, stderr, look)
	// The number can become another process' once the plugin has been waited
	// for. Until then it may be killed: on request, and what a plugin that failed
	// leaves behind.
	ended, failed := p.await()
	if !stop() {
		<-killed
	}
	if !ended {
		background.Start(nil, "waiting for a plugin that cannot be ended", func() error { _, err := p.wait(); return err })
		return fmt.Errorf("was killed %s ago and has not ended; what does it wait for?", killPatience)
	}
	if failed {
		p.killRest()
	}
	status, err := p.wait()
	switch {
	case err != nil:
		return fmt.Errorf("wait for %s: %w", filepath.Base(p.path), err)
	case status.Exited() && status.ExitStatus() == 0:
		return nil
	}
	return errors.New(describeEnd(status))
}

// kill ends the plugin and what it has started, wherever it went: into another
// process group, into another session (SEC-16).
func (p *process) kill() {
	p.killed.Store(time.Now().UnixNano())
	if p.cell == nil {
		killTree(p.pid)
	}
	if p.pidfd >= 0 {
		_ = unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0)
	} else {
		_ = syscall.Kill(p.pid, syscall.SIGKILL) // it has not been waited for
	}
	p.killRest()
}

// killRest ends what the plugin has started.
func (p *process) killRest() {
	if p.cell != nil {
		p.cell.kill()
	}
	killGroup(p.pid)
}

// killedFor is how long ago the plugin was killed, 0 when it was not.
func (p *process) killedFor() time.Duration {
	at := p.killed.Load()
	if at == 0 {
		return 0
	}
	return max(time.Since(time.Unix(0, at)), time.Nanosecond)
}

// read copies what the plugin prints until both pipes are closed or, where a
// process that it left behind holds them, until it has ended for pipeGrace: a
// plugin may start a service (a DHCP client, say). What it printed counts. A
// writer that fails gets no more; it has seen to it that the plugin is stopped.
// Meanwhile look is called, unless it is nil, ever more seldom.
func (p *process) read(stdout, stderr io.Writer, look func()) {
	fds := []unix.PollFd{readable(p.stdout), readable(p.stderr), readable(p.pidfd)}
	buffer := make([]byte, 8<<10)
	pause := p.longestPause()
	if look != nil {
		pause = firstLook
	}
	var ended time.Time
	for (fds[0].Fd >= 0 || fds[1].Fd >= 0) && !p.overdue(ended) {
		n, err := unix.Poll(fds, int(pause.Milliseconds()))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return
		case n == 0:
			if look != nil {
				look()
			}
			pause = min(2*pause, p.longestPause())
		}
		copyOne(&fds[0], stdout, buffer)
		copyOne(&fds[1], stderr, buffer)
		if ended.IsZero() && (fds[2].Revents != 0 || p.pidfd < 0 && hasEnded(p.pid)) {
			ended, fds[2].Fd = time.Now(), -1
		}
	}
}

// overdue reports whether pipes that are still open are to be given up: some
// time after the plugin has ended, at once when it was killed, and some time
// after it was killed in vain.
func (p *process) overdue(ended time.Time) bool {
	killed := p.killedFor()
	if ended.IsZero() {
		return killed >= killPatience
	}
	return killed > 0 || time.Since(ended) >= pipeGrace
}

// longestPause is how long nothing may be looked at: without a descriptor of
// the process, its end is nothing that wakes anybody.
func (p *process) longestPause() time.Duration {
	if p.pidfd < 0 {
		return watchInterval
	}
	return pipeGrace / 4
}

func readable(fd int) unix.PollFd {
	return unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} //nolint:gosec // descriptors are small numbers
}

// copyOne copies what can be read at once, and takes a pipe that is at its end
// out of the set.
func copyOne(fd *unix.PollFd, to io.Writer, buffer []byte) {
	if fd.Revents == 0 {
		return
	}
	n, err := unix.Read(int(fd.Fd), buffer)
	if n > 0 {
		_, err = to.Write(buffer[:n])
	}
	if n == 0 || err != nil && !errors.Is(err, unix.EINTR) {
		fd.Fd = -1
	}
}

// hasEnded says whether a child has ended, and leaves it to be waited for.
func hasEnded(pid int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

// await waits until the plugin has ended, and leaves it to be waited for. A
// plugin that was killed and does not end is given up after killPatience. It
// reports whether the plugin failed: whether it ended in any way but with exit
// status 0.
func (p *process) await() (ended, failed bool) {
	fds := []unix.PollFd{readable(p.pidfd)}
	for pause := time.Millisecond; p.killedFor() < killPatience; pause = min(2*pause, watchInterval) {
		if p.pidfd >= 0 {
			_, _ = unix.Poll(fds, int(p.longestPause().Milliseconds()))
		}
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return true, true
		case info.Signo != 0:
			return true, info.Code != cldExited || exitStatus(&info) != 0
		case p.pidfd < 0:
			time.Sleep(pause)
		}
	}
	return false, true
}

// cldExited is the code of a process that called exit (CLD_EXITED, waitid(2)).
const cldExited = 1

// exitStatus returns si_status, which package unix has no name for. It follows
// the pid and the uid, in a union that is aligned as a pointer is.
func exitStatus(info *unix.Siginfo) int32 {
	const align = unsafe.Sizeof(uintptr(0))
	const union = (3*unsafe.Sizeof(int32(0)) + align - 1) / align * align
	return *(*int32)(unsafe.Add(unsafe.Pointer(info), union+2*unsafe.Sizeof(int32(0)))) //nolint:gosec // within the structure, whose size is 128 bytes
}

// wait returns how the plugin has ended.
func (p *process) wait() (status syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(p.pid, &status, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			return status, err
		}
	}
}

// describeEnd says how a plugin ended, in the words of os.ProcessState.
func describeEnd(status syscall.WaitStatus) string {
	switch {
	case status.Signaled() && status.CoreDump():
		return "signal: " + status.Signal().String() + " (core dumped)"
	case status.Signaled():
		return "signal: " + status.Signal().String()
	default:
		return fmt.Sprintf("exit status %d", status.ExitStatus())
	}
}

// killGroup ends a plugin and all that it started in its process group, of
// which nothing may be left.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
