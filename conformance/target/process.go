// SPDX-License-Identifier: Apache-2.0

package target

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Process is a daemon that runs as a process of its own.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// StartProcess starts a command with its output in a log file. The caller's
// pid namespace ends what it does not.
func StartProcess(command, env []string, log string) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()
	p := &Process{cmd: exec.Command(command[0], command[1:]...), log: log, done: make(chan struct{})} //nolint:noctx // it outlives the call
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit status is in ProcessState
		close(p.done)
	}()
	return p, nil
}

// Terminate implements thick.Process: it asks for the end by SIGTERM.
func (p *Process) Terminate() error { return unlessDone(p.cmd.Process.Signal(syscall.SIGTERM)) }

// Kill implements thick.Process: it ends the process by SIGKILL.
func (p *Process) Kill() error { return unlessDone(p.cmd.Process.Kill()) }

// unlessDone drops the error of a process that has ended by itself: that is what
// was wanted of it.
func unlessDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is its exit status, -1 when a signal ended it. It waits for its end.
func (p *Process) ExitCode() int {
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// EndedBy says how the process ended: "exit status 2", "signal: killed". It waits
// for its end.
func (p *Process) EndedBy() string {
	<-p.done
	return p.cmd.ProcessState.String()
}

// Log is what it has printed.
func (p *Process) Log() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }
