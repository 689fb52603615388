// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/libcni"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

const (
	// orphanPatience is how long a killed delegate may take to be gone.
	orphanPatience = 5 * time.Second
	// orphanDoubt is how long a process of a delegate's name may be without an
	// environment: the kernel sets it last of all when it executes one.
	orphanDoubt = 200 * time.Millisecond
	// orphanPause is how long nothing is looked at.
	orphanPause = 10 * time.Millisecond
	// commLength is how much of an executable's name the kernel keeps.
	commLength = 15
)

// stopOrphans ends the delegates that a killed daemon left running for a
// sandbox. One that attaches after the replay's DEL would leave what nobody
// knows of (RES-01). The container's lock is held, so none of them is ours.
func (e *Engine) stopOrphans(ctx context.Context, rec *ledger.Record) error {
	types := pluginTypes(rec)
	ctx, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	doubtUntil := time.Now().Add(orphanDoubt)
	for {
		pids, doubt := delegatesOf(rec.ContainerID, types)
		if len(pids) == 0 && (!doubt || time.Now().After(doubtUntil)) {
			return nil
		}
		for _, pid := range pids {
			e.log.Warn("ending a delegate that a former daemon left", "sandbox", rec.ContainerID, "pid", pid)
		}
		endAll(ctx, pids)
		select {
		case <-ctx.Done():
			return fmt.Errorf("delegates of a former daemon do not end: pids %v", pids)
		case <-time.After(orphanPause):
		}
	}
}

// endAll kills processes and waits until the kernel has nothing more to do for
// them, or ctx ends. A process whose first thread has ended looks gone in /proc
// while another of its threads still waits in the kernel to make an interface:
// its descriptor says when all of them have (seen: HOT-10 under load).
func endAll(ctx context.Context, pids []int) {
	var fds []int
	defer func() { closeAll(fds...) }()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // before Linux 5.3
			continue
		}
		fds = append(fds, fd)
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	for _, fd := range fds {
		for ctx.Err() == nil && !endsWithin(fd, orphanPause) {
		}
	}
}

// endsWithin waits for a process to end.
func endsWithin(pidfd int, within time.Duration) bool {
	n, err := unix.Poll([]unix.PollFd{readable(pidfd)}, int(within.Milliseconds()))
	return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
}

// pluginTypes are the executables that a record's configurations name: plugins,
// and the IPAM plugins that they execute themselves.
func pluginTypes(rec *ledger.Record) []string {
	var types []string
	add := func(t string) {
		if t != "" {
			types = append(types, t[:min(len(t), commLength)])
		}
	}
	for _, a := range rec.Attachments {
		list, err := libcni.NetworkConfFromBytes([]byte(a.Config))
		if err != nil {
			continue // detach reports it
		}
		for _, p := range list.Plugins {
			add(p.Network.Type)
			add(p.Network.IPAM.Type)
		}
	}
	return types
}

// delegatesOf finds the processes that run one of the plugins for a container.
// The environment alone would also fit a shim that waits for this daemon. There
// is doubt when one of a plugin's name has no environment yet.
func delegatesOf(containerID string, types []string) (pids []int, doubt bool) {
	entries, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, false
	}
	for _, comm := range entries {
		name, err := os.ReadFile(comm)
		if err != nil || !slices.Contains(types, strings.TrimSpace(string(name))) {
			continue
		}
		dir := filepath.Dir(comm)
		environ, alive := environOf(dir)
		if environ == "" {
			doubt = doubt || alive
			continue
		}
		if !slices.Contains(strings.Split(environ, "\x00"), "CNI_CONTAINERID="+containerID) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, doubt
}

// environOf reads the environment of a process in its directory of /proc: of any
// of its threads, because one that has ended shows none. It reports whether one
// of them is alive.
func environOf(dir string) (environ string, alive bool) {
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*"))
	if err != nil {
		return "", false
	}
	for _, thread := range threads {
		if data, err := os.ReadFile(filepath.Join(thread, "environ")); err == nil && len(data) > 0 {
			return string(data), true
		}
		if stat, err := os.ReadFile(filepath.Join(thread, "stat")); err == nil && !hasEndedIn(stat) {
			alive = true
		}
	}
	return "", alive
}

// hasEndedIn reads of a thread's stat whether it is a zombie, or dead.
func hasEndedIn(stat []byte) bool {
	state := bytes.TrimSpace(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(state) > 0 && (state[0] == 'Z' || state[0] == 'X')
}
