// SPDX-License-Identifier: Apache-2.0

// Package cgroup finds the control group of this process, as it is seen from
// where it runs: a container sees a part of the hierarchy.
package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Own is the directory of this process' cgroup in the hierarchy of version 2, which
// older systems mount beside those of version 1.
func Own() (string, error) {
	own, mounts, err := read()
	if err != nil {
		return "", err
	}
	return find(own, mounts, "")
}

// Memory is the directory of the cgroup that this process' memory is accounted to,
// and whether it is one of version 2.
func Memory() (dir string, v2 bool, err error) {
	own, mounts, err := read()
	if err != nil {
		return "", false, err
	}
	if dir, err = find(own, mounts, "memory"); err == nil {
		return dir, false, nil
	}
	dir, err = find(own, mounts, "")
	return dir, true, err
}

func read() (own, mounts string, err error) {
	processes, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	info, err := os.ReadFile("/proc/self/mountinfo")
	return string(processes), string(info), err
}

// find returns the directory of a process' cgroup in the hierarchy of a controller
// of version 1, or in that of version 2 without one, by what /proc says of its
// cgroups and mounts.
func find(own, mounts, controller string) (string, error) {
	path := ""
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && slices.Contains(strings.Split(fields[1], ","), controller) {
			path = fields[2]
		}
	}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) < 5 || !isHierarchy(strings.Fields(after), controller) {
			continue
		}
		// What is mounted begins at fields[3], outside this process' view where it
		// begins with "/..".
		below, err := filepath.Rel(fields[3], path)
		if path != "" && err == nil && !strings.HasPrefix(fields[3], "/..") && below != ".." && !strings.HasPrefix(below, "../") {
			return filepath.Join(fields[4], below), nil
		}
	}
	if controller != "" {
		return "", fmt.Errorf("no cgroup hierarchy of version 1 with %s is mounted: %w", controller, fs.ErrNotExist)
	}
	return "", fmt.Errorf("no cgroup hierarchy of version 2 is mounted: %w", fs.ErrNotExist)
}

// isHierarchy looks at the type, source and options of a file system.
func isHierarchy(fields []string, controller string) bool {
	if len(fields) == 0 {
		return false
	}
	if controller == "" {
		return fields[0] == "cgroup2"
	}
	return fields[0] == "cgroup" && len(fields) == 3 && slices.Contains(strings.Split(fields[2], ","), controller)
}
