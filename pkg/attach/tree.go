// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// killTree ends a plugin and what descends from it, for a kernel without
// cgroups for it. All of them are stopped before the first is ended, so that
// none can start another one meanwhile; a process whose parent has ended is not
// found.
func killTree(root int) {
	stopped := []int{root}
	_ = syscall.Kill(root, syscall.SIGSTOP)
	for {
		found := descendants(stopped)
		if len(found) == 0 {
			break
		}
		for _, pid := range found {
			_ = syscall.Kill(pid, syscall.SIGSTOP)
		}
		stopped = append(stopped, found...)
	}
	// What a plugin's own delegate still does in the kernel has to be done before
	// the DEL that takes it back.
	ctx, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	slices.Reverse(stopped)
	endAll(ctx, stopped)
}

// descendants are the children of some processes, without those that are among
// them.
func descendants(of []int) []int {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var found []int
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || slices.Contains(of, pid) {
			continue
		}
		if parent := parentIn(path); slices.Contains(of, parent) {
			found = append(found, pid)
		}
	}
	return found
}

// parentIn reads the parent's pid of a process' stat, 0 when it has ended. The
// name before it may hold anything, parentheses too.
func parentIn(stat string) int {
	data, err := os.ReadFile(stat)
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}
