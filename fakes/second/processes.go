// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is a line of the process table.
type process struct {
	pid, parent, group int
	state              byte
}

func processes() (all []process) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) < 3 {
			continue
		}
		p := process{state: fields[0][0]}
		p.pid, _ = strconv.Atoi(filepath.Base(filepath.Dir(path)))
		p.parent, _ = strconv.Atoi(fields[1])
		p.group, _ = strconv.Atoi(fields[2])
		all = append(all, p)
	}
	return all
}

// environOf is a process' environment, nil when it cannot be seen.
func environOf(pid int) map[string]string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || len(data) == 0 {
		return nil
	}
	env := map[string]string{}
	for _, pair := range strings.Split(string(data), "\x00") {
		key, value, _ := strings.Cut(pair, "=")
		env[key] = value
	}
	return env
}

// end kills a delegate and all that it started: what is in its cgroup, or, where
// there is none, what descends from it (SEC-16).
func (x *runner) end(pid int, group string) {
	for range 100 {
		doomed := membersOf(group)
		if group == "" {
			doomed = descendants(pid)
		}
		if len(doomed) == 0 {
			return
		}
		for _, p := range doomed {
			_ = unix.Kill(p, unix.SIGKILL)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// descendants are a process and those that it started, and they.
func descendants(pid int) (found []int) {
	all := processes()
	family := map[int]bool{pid: true}
	for range all {
		before := len(family)
		for _, p := range all {
			if family[p.parent] {
				family[p.pid] = true
			}
		}
		if len(family) == before {
			break
		}
	}
	for _, p := range all {
		if family[p.pid] && p.state != 'Z' {
			found = append(found, p.pid)
		}
	}
	return found
}

// endStrays ends what delegates of a killed daemon have left: they are in its
// process group, which no later process has got while one of them runs (RES-01).
func endStrays(group int) {
	for range 100 {
		found := false
		for _, p := range processes() {
			if p.group != group || p.pid == os.Getpid() || gone(p.pid) {
				continue
			}
			env := environOf(p.pid)
			// One without an environment has just been executed, or is a thread that has
			// ended before the others, which may be about to make an interface.
			found = found || len(env) == 0 || env["CNI_COMMAND"] != ""
			if p.state == 'Z' || env["CNI_COMMAND"] != "" {
				_ = unix.Kill(p.pid, unix.SIGKILL)
			}
		}
		if !found {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// gone reports whether a process has ended with all of its threads.
func gone(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return true
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}
