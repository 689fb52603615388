// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// envTasks is the cgroup that a case's first process enters, for itself and all
// that come from it.
const envTasks = "THICKET_CONFORMANCE_TASKS"

// tasksPerProcess is how many threads a process may have on the average: the Go
// runtime of a small program has some eight.
const tasksPerProcess = 10

// taskCgroup bounds the processes of a case between two counts of crowd: what
// forks without end makes thousands in that time. Where there is no pids
// controller, the count alone bounds them.
type taskCgroup struct{ path string }

// newTaskCgroup makes the cgroup for a case with that directory, nil where there
// can be none.
func newTaskCgroup(workDir string, processes int) *taskCgroup {
	parent := tasksParent()
	if parent == "" {
		return nil
	}
	g := &taskCgroup{filepath.Join(parent, cgroupName(workDir)+"-tasks")}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil
	}
	if err := os.WriteFile(filepath.Join(g.path, "pids.max"), []byte(strconv.Itoa(tasksPerProcess*processes)), 0o600); err != nil {
		_ = g.remove()
		return nil
	}
	return g
}

// tasksParent is where a cgroup with a limit of tasks can be made, "" when it
// cannot: as cgroupParent, of the controller pids.
func tasksParent() string {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(own), "\n") {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 && parts[1] == "pids" {
			return filepath.Join(cgroupRoot, "pids", parts[2])
		}
	}
	controllers, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.subtree_control"))
	if err != nil || !strings.Contains(string(controllers), "pids") {
		return ""
	}
	return cgroupRoot
}

// environment tells a case's first process which cgroup it enters.
func (g *taskCgroup) environment() string {
	if g == nil {
		return envTasks + "="
	}
	return envTasks + "=" + g.path
}

// enterTasks puts this process into the cgroup that it was told.
func enterTasks() {
	if path := os.Getenv(envTasks); path != "" {
		_ = os.WriteFile(filepath.Join(path, "cgroup.procs"), []byte("0"), 0o600) // else the count alone bounds them
	}
}

// refused says how often the limit was hit, "" when it never was.
func (g *taskCgroup) refused() string {
	if g == nil {
		return ""
	}
	f, err := os.Open(filepath.Join(g.path, "pids.events"))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if n, found := strings.CutPrefix(lines.Text(), "max "); found && n != "0" {
			return fmt.Sprintf("the kernel refused a new process or thread %s times: the case's processes had as many as they may", n)
		}
	}
	return ""
}

// remove removes the cgroup; the case's processes are dead by then.
func (g *taskCgroup) remove() error {
	if g == nil {
		return nil
	}
	return os.Remove(g.path)
}
