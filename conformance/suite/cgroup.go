// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// ContainersCgroup is the path, from the root of a hierarchy of cgroups on, below
// which a container runtime may make its containers' while a case judges it. The
// runner removes it with all that is below it.
func ContainersCgroup(workDir string) string { return "/" + cgroupName(workDir) + "-containers" }

// removeContainers removes that cgroup from every hierarchy.
func removeContainers(workDir string) error {
	paths, err := filepath.Glob(cgroupRoot + "/*" + ContainersCgroup(workDir)) // version 1: a hierarchy for each controller
	if err != nil {
		return err
	}
	var found []string
	for _, top := range append(paths, cgroupRoot+ContainersCgroup(workDir)) {
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, path := range slices.Backward(found) {
		if err := rmdir(path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// emptyWithin is how long a cgroup may take to be empty whose processes were
// killed: the kernel says nothing when the last one has left it.
const emptyWithin = 10 * time.Second

// rmdir removes a cgroup, if it is there, when what was killed in it has ended.
func rmdir(path string) error {
	// Version 1 has no event for the end of a cgroup's last process.
	for deadline := time.Now().Add(emptyWithin); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Rmdir(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return err
		}
	}
}

// Cgroup is a memory cgroup of a case's own, of version 1 or 2.
type Cgroup struct {
	path string
	v2   bool
}

// cgroupName is the name of a case's cgroup, made of its directory's, so that
// the runner finds it when the case could not remove it.
func cgroupName(workDir string) string { return "thicket-conformance-" + filepath.Base(workDir) }

// cgroupParent is where a cgroup with a memory limit can be made: below this
// process' own in version 1, at the root in version 2, where a cgroup that has
// processes cannot have children with limits.
func cgroupParent() (path string, v2 bool, err error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false, err
	}
	for line := range strings.SplitSeq(string(own), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) == 3 && parts[1] == "memory" {
			return filepath.Join(cgroupRoot, "memory", parts[2]), false, nil
		}
	}
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"))
	if err != nil {
		return "", false, err
	}
	if !strings.Contains(string(controllers), "memory") {
		return "", false, fmt.Errorf("the memory controller is not enabled below %s: %w", cgroupRoot, fs.ErrNotExist)
	}
	return cgroupRoot, true, nil
}

// NewCgroup makes a cgroup that may have so much memory, in bytes.
func NewCgroup(workDir string, limit int64) (*Cgroup, error) {
	parent, v2, err := cgroupParent()
	if err != nil {
		return nil, err
	}
	g := &Cgroup{path: filepath.Join(parent, cgroupName(workDir)), v2: v2}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, err
	}
	file := "memory.limit_in_bytes"
	if v2 {
		file = "memory.max"
	}
	if err := g.write(file, limit); err != nil {
		return nil, errors.Join(err, os.Remove(g.path))
	}
	return g, nil
}

func (g *Cgroup) write(file string, value int64) error {
	return os.WriteFile(filepath.Join(g.path, file), []byte(strconv.FormatInt(value, 10)), 0o600)
}

// number reads a file that has one number.
func (g *Cgroup) number(file string) (int64, error) {
	text, err := os.ReadFile(filepath.Join(g.path, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// With has what f starts run in the cgroup, by being in it meanwhile.
func (g *Cgroup) With(f func()) error {
	if err := g.write("cgroup.procs", int64(os.Getpid())); err != nil {
		return fmt.Errorf("enter the cgroup: %w", err)
	}
	defer func() { _ = g.Leave() }()
	f()
	return nil
}

// Leave moves this process back to where it came from.
func (g *Cgroup) Leave() error {
	parent := &Cgroup{path: filepath.Dir(g.path)}
	return parent.write("cgroup.procs", int64(os.Getpid()))
}

// Peak is the most memory that the cgroup had, in bytes.
func (g *Cgroup) Peak() (int64, error) {
	file := "memory.max_usage_in_bytes"
	if g.v2 {
		file = "memory.peak"
	}
	return g.number(file)
}

// Killed is how many processes the kernel has killed for want of memory.
func (g *Cgroup) Killed() (int, error) {
	file := "memory.oom_control"
	if g.v2 {
		file = "memory.events"
	}
	f, err := os.Open(filepath.Join(g.path, file))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if count, found := strings.CutPrefix(lines.Text(), "oom_kill "); found {
			return strconv.Atoi(count)
		}
	}
	return 0, fmt.Errorf("%s does not say how many were killed", f.Name())
}

// removeCgroup removes what a case that was killed has left; the case's
// processes are dead by then.
func removeCgroup(workDir string) error {
	var parents []string
	if parent, _, err := cgroupParent(); err == nil { // else no case could make one either
		parents = append(parents, parent)
	}
	if parent, err := pidsParent(); err == nil {
		parents = append(parents, parent)
	}
	for _, parent := range parents {
		if err := rmdir(filepath.Join(parent, cgroupName(workDir))); err != nil {
			return err
		}
	}
	return removeContainers(workDir)
}

// pidsParent is where a cgroup with a limit of processes can be made.
func pidsParent() (string, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(string(own), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) == 3 && parts[1] == "pids" {
			return filepath.Join(cgroupRoot, "pids", parts[2]), nil
		}
	}
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"))
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(controllers), "pids") {
		return "", fmt.Errorf("the pids controller is not enabled below %s: %w", cgroupRoot, fs.ErrNotExist)
	}
	return cgroupRoot, nil
}

// LimitProcesses puts this process, and what it starts, into a cgroup that may
// have so many processes and threads. The runner removes the cgroup.
func LimitProcesses(workDir string, limit int64) error {
	parent, err := pidsParent()
	if err != nil {
		return err
	}
	g := &Cgroup{path: filepath.Join(parent, cgroupName(workDir))}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return err
	}
	return errors.Join(g.write("pids.max", limit), g.write("cgroup.procs", int64(os.Getpid())))
}

// Usage is the memory that the cgroup has now, in bytes.
func (g *Cgroup) Usage() (int64, error) {
	file := "memory.usage_in_bytes"
	if g.v2 {
		file = "memory.current"
	}
	return g.number(file)
}

// Kernel is what the kernel itself has in the cgroup now, in bytes: for the
// interfaces that were made from it, among others, as long as they exist.
func (g *Cgroup) Kernel() (int64, error) {
	if !g.v2 {
		return g.number("memory.kmem.usage_in_bytes")
	}
	text, err := os.ReadFile(filepath.Join(g.path, "memory.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if bytes, found := strings.CutPrefix(line, "kernel "); found {
			return strconv.ParseInt(strings.TrimSpace(bytes), 10, 64)
		}
	}
	return 0, fmt.Errorf("%s/memory.stat does not say what the kernel has (before Linux 5.18): %w", g.path, fs.ErrNotExist)
}

// Remove removes the cgroup, which must not have a process any more.
func (g *Cgroup) Remove() error { return os.Remove(g.path) }
