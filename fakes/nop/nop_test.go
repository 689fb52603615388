// SPDX-License-Identifier: Apache-2.0

package nop

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// reached is what a process of this program prints that is not the plugin.
const reached = "this is the program itself"

func TestMain(m *testing.M) {
	if os.Getenv("CNI_COMMAND") != "" {
		_, _ = io.WriteString(os.Stdout, reached)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func execute(t *testing.T, path, command string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = []string{"CNI_COMMAND=" + command, "CNI_IFNAME=eth0", "CNI_NETNS=/n"}
	cmd.Stdin = strings.NewReader(`{"cniVersion":"1.0.0"}`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", path, err, out)
	}
	return string(out)
}

func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := Link(dir, "nop", program); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "nop")
	if out := execute(t, path, "ADD"); !strings.Contains(out, `"name":"eth0"`) || !strings.Contains(out, "192.0.2.2/24") {
		t.Errorf("ADD: %s", out)
	}
	if out := execute(t, path, "DEL"); out != "" {
		t.Errorf("DEL: %s", out)
	}
	if out := execute(t, path, "VERSION"); !strings.Contains(out, "supportedVersions") {
		t.Errorf("VERSION: %s", out)
	}
	other := filepath.Join(dir, "other")
	if err := os.Symlink(program, other); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{execute(t, other, "ADD"), execute(t, program, "ADD"), execute(t, path, "ADD", "argument")} {
		if out != reached {
			t.Errorf("taken over: %s", out)
		}
	}
}
