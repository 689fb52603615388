// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInterruptLeavesNothing presses Ctrl-C in the middle of a run: it ends
// soon, and no process, mount or file of it is left.
func TestInterruptLeavesNothing(t *testing.T) {
	work, reports := t.TempDir(), t.TempDir()
	run := exec.Command(filepath.Join(root, "bin/thicket-conformance"), "run", "--target",
		filepath.Join(root, "conformance/targets/thicket.yaml"), "--profiles", "add,del,ready,resilience", "--report", reports)
	run.Env = append(os.Environ(), "TMPDIR="+work)
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 5 { // cases are running now, and some have ended
		if !lines.Scan() {
			t.Fatal("the run ended before it was interrupted")
		}
	}
	began := time.Now()
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	if err := run.Wait(); err == nil {
		t.Error("an interrupted run exits with 0")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it went on for %s", took)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("left below TMPDIR: %v, %v", left, err)
	}
	if junit, err := os.ReadFile(filepath.Join(reports, "junit.xml")); err != nil || !strings.Contains(string(junit), `<error message="the run was cancelled"`) {
		t.Errorf("the interrupted run's JUnit file: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), work) {
		t.Errorf("a mount is left: %v", err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if environ, err := os.ReadFile(p); err == nil && strings.Contains(string(environ), "TMPDIR="+work+"\x00") {
			cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(p), "cmdline"))
			t.Errorf("a process is left: %s: %q", p, cmdline)
		}
	}
}
