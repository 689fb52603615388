// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
)

// isolation is what a case's process has of its own. Interfaces, mounts,
// processes and a host name that an implementation leaves are seen there, and go
// with it.
const isolation = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// runInit is the first process of a case's pid namespace: it prepares the
// namespaces, runs the case as its child, and reaps what is orphaned
// meanwhile. It never returns; when it ends, the kernel ends all the others.
func runInit() {
	enterTasks()
	if err := prepareNamespaces(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(exitBroken)
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // the parent ends it with the namespace
	cmd.Env = append(os.Environ(), envStage+"=case")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(exitBroken)
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			os.Exit(exitBroken)
		case pid == cmd.Process.Pid && status.Signaled():
			fmt.Fprintln(os.Stderr, "conformance: the case's process was ended by signal", status.Signal())
			os.Exit(exitBroken)
		case pid == cmd.Process.Pid:
			os.Exit(status.ExitStatus())
		}
	}
}

func prepareNamespaces() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc of the case's own: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// Isolated reports whether this process is a case with a pid namespace of its
// own.
func Isolated() bool { return os.Getenv(envStage) == "case" }

// ForeignProcesses lists the processes of the case's pid namespace that are
// neither its init nor the case itself. Zombies do not count: they are dead,
// and init is about to reap them.
func ForeignProcesses() []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 || pid == os.Getpid() {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			continue
		}
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		found = append(found, fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))))
	}
	return found
}
