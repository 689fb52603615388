// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"os/exec"
	"strings"
	"testing"
)

// TestMissing: a machine that lacks everything is told so in one line, with the
// command that brings it.
func TestMissing(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), bash, "missing")
	cmd.Env = []string{"PATH=" + t.TempDir()}
	said, err := cmd.CombinedOutput()
	if err == nil || strings.Count(string(said), "\n") != 1 || !strings.Contains(string(said), "apt-get install -y --no-install-recommends qemu-system-x86 e2fsprogs") {
		t.Errorf("%v: %s", err, said)
	}
	cmd = exec.CommandContext(t.Context(), bash, "missing", "--packages")
	cmd.Env = []string{"PATH=" + t.TempDir()}
	if packages, err := cmd.Output(); err != nil || !strings.HasPrefix(string(packages), "qemu-system-x86 e2fsprogs") {
		t.Errorf("%v: %s", err, packages)
	}
}
