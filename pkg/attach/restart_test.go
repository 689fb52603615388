// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// first starts a process in a mount namespace of its own, as a node's first
// process is to a daemon in a pod, and returns its directory in /proc when its
// preparations are done.
func first(t *testing.T, prepare string, namespaces uintptr) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", prepare+"\necho\nexec sleep 1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no mount namespace can be made: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/proc/%d", cmd.Process.Pid)
}

// TestSeenBy compares what the daemon sees at a path with what another process
// does: only the node's own directory says of a namespace that it is gone.
func TestSeenBy(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		prepare string
		dir     string
		seen    bool
	}{
		"the same directory":       {"", dir, true},
		"something mounted there":  {"mount -t tmpfs none " + dir, dir, false},
		"a directory that is gone": {"", filepath.Join(dir, "missing"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if seen := seenBy(first(t, test.prepare, 0), test.dir); seen != test.seen {
				t.Errorf("seen: %v, want %v", seen, test.seen)
			}
		})
	}
}

func TestNodeStart(t *testing.T) {
	one, other := first(t, "", 0), first(t, "", syscall.CLONE_NEWPID)
	if start := nodeStart(one); start == "" || start != nodeStart(one) {
		t.Errorf("%q, then %q are the same start", start, nodeStart(one))
	}
	if nodeStart(one) == nodeStart(other) {
		t.Errorf("%q is the start of two processes", nodeStart(one))
	}
	if got := nodeStart("/proc/self"); got != "" {
		t.Errorf("a process of the daemon's own mount namespace is taken for the node's: %q", got)
	}
}

// TestRestarted: without another start nothing is taken for gone, and neither
// where the daemon cannot tell.
func TestRestarted(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct{ recorded, now string }{
		"the same start":            {"1:2", "1:2"},
		"a record without one":      {"", "1:2"},
		"a daemon without hostPID":  {"1:2", ""},
		"neither the one nor other": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Engine{nodeStart: test.now}
			if e.restarted(&ledger.Record{NodeStart: test.recorded}, dir) {
				t.Error("taken for a restart")
			}
		})
	}
}
