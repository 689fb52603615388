// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// leave does what escapes a daemon that kills a process group.
func leave(how string, rec *record) error {
	switch how {
	case "group":
		group, err := syscall.Getpgid(os.Getppid())
		if err != nil {
			return err
		}
		return syscall.Setpgid(0, group)
	case "stop":
		return syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case "session":
		child := ownSession(modeChild)
		if err := child.Start(); err != nil {
			return err
		}
		rec.call.ChildPID = child.Process.Pid
	case "orphan":
		pid, err := startOrphan()
		if err != nil {
			return err
		}
		rec.call.ChildPID = pid
	default:
		return fmt.Errorf("fake: leave %q is unknown", how)
	}
	rec.write()
	return nil
}

// ownSession is this program as a child in a session of its own. It holds the
// plugin's pipes.
func ownSession(mode string) *exec.Cmd {
	child := exec.Command("/proc/self/exe") //nolint:noctx // it outlives the plugin on purpose
	child.Env = []string{modeVariable + "=" + mode}
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return child
}

// startOrphan starts a child that starts one more and ends. It returns the pid
// of the one that is left.
func startOrphan() (int, error) {
	said, pid, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer said.Close()
	parent := ownSession(modeOrphan)
	parent.ExtraFiles = []*os.File{pid}
	err = parent.Run()
	_ = pid.Close()
	if err != nil {
		return 0, err
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(said); err != nil {
		return 0, err
	}
	return strconv.Atoi(text.String())
}

// leaveOrphan is the orphan's parent, which says its pid.
func leaveOrphan() error {
	child := ownSession(modeChild)
	if err := child.Start(); err != nil {
		return err
	}
	_, err := fmt.Fprint(os.NewFile(3, "pid"), child.Process.Pid)
	return err
}
