// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const headlessVariable = "THICKET_TEST_HEADLESS"

// A process whose first thread ends, while others go on: what a plugin is that
// was killed while one of its threads waits in the kernel.
func init() {
	if os.Getenv(headlessVariable) == "" {
		return
	}
	go time.Sleep(time.Minute)
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
}

// TestOrphanWithoutItsFirstThread finds such a delegate, and ends it.
func TestOrphanWithoutItsFirstThread(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "orphan-of-test")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, plugin); err != nil {
		t.Fatal(err)
	}
	const id = "container-of-an-orphan"
	cmd := exec.Command(plugin)
	cmd.Env = append(os.Environ(), headlessVariable+"=1", "CNI_CONTAINERID="+id)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	stat := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "stat")
	for deadline := time.Now().Add(10 * time.Second); ; {
		data, err := os.ReadFile(stat)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("its first thread does not end: %s, %v", data, err)
		}
		if hasEndedIn(data) {
			break
		}
	}
	types := []string{"orphan-of-test"[:min(commLength, len("orphan-of-test"))]}
	pids, _ := delegatesOf(id, types)
	if len(pids) != 1 || pids[0] != cmd.Process.Pid {
		t.Fatalf("delegates of %s: %v, not %d", id, pids, cmd.Process.Pid)
	}
	if others, _ := delegatesOf("another-container", types); len(others) != 0 {
		t.Errorf("delegates of another container: %v", others)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	endAll(ctx, pids)
	select {
	case <-ended:
	case <-ctx.Done():
		t.Error("it has not ended")
	}
	if pids, doubt := delegatesOf(id, types); len(pids) != 0 || doubt {
		t.Errorf("when it has ended: %v, in doubt: %v", pids, doubt)
	}
}
