// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the names of delegates' cgroups; a digest of the state
// directory follows, because a pid means nothing in another pid namespace.
func cgroupPrefix(state string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(state))
	return fmt.Sprintf("thicket-second-%x-", h.Sum64())
}

// cgroupBase is this process' own group in the unified hierarchy, "" when there
// is none that it may write.
func cgroupBase() string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		path, unified := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			base := filepath.Join(root, path)
			if _, err := os.Stat(filepath.Join(base, "cgroup.subtree_control")); unified && err == nil {
				return base
			}
		}
	}
	return ""
}

// newCgroup makes a group for one delegate; without one the directory is nil.
func newCgroup(prefix string) (path string, dir *os.File) {
	base := cgroupBase()
	if base == "" {
		return "", nil
	}
	path = filepath.Join(base, prefix+rand.Text())
	if os.Mkdir(path, 0o755) != nil {
		return "", nil
	}
	dir, err := os.Open(path)
	if err != nil {
		_ = os.Remove(path)
		return "", nil
	}
	return path, dir
}

// membersOf are the processes in a group.
func membersOf(group string) (pids []int) {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if group == "" || err != nil {
		return nil
	}
	for _, line := range strings.Fields(string(data)) {
		if pid, err := strconv.Atoi(line); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// removeCgroup removes a group as soon as it is empty; one in which a delegate
// left a helper stays with it.
func removeCgroup(path string) {
	for range 20 {
		if unix.Rmdir(path) == nil || len(membersOf(path)) > 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// removeCgroups removes the empty groups of a daemon that is dead.
func removeCgroups(prefix string) {
	found, _ := filepath.Glob(filepath.Join(cgroupBase(), prefix+"*"))
	for _, path := range found {
		_ = unix.Rmdir(path)
	}
}
