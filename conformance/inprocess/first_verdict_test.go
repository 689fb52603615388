// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fillIn is what the author of the second implementation changes in the file
// that init writes.
var fillIn = strings.NewReplacer(
	"name: my-plugin ", "name: second ", "root: . ", "root: ${THICKET_TEST_ROOT} ", "path: bin/my-shim ", "path: bin/thicket-second ",
	"[bin/my-daemon, --config,", "[bin/thicket-second, daemon, --config,",
	"socket-directory:", "run:", "state-directory:", "state:", "plugin-directory:", "plugins:",
	"cluster-directory: {{.ClusterDir}}", "pods: {folder: \"{{.ClusterDir}}\"}",
	"network-directory: {{.ConfDir}}", "networks: {folder: \"{{.ConfDir}}\"}",
	"delegate-timeout: {{.DelegateTimeout}}", "limits: {delegate: {{.DelegateTimeout}}}",
)

// TestFirstVerdict walks the way of conformance/README.md from zero to the first
// verdict, by the commands that stand there.
func TestFirstVerdict(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "conformance/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## From zero to the first verdict\n")
	section, _, _ = strings.Cut(section, "\n## ")
	dir, said := t.TempDir(), ""
	for line := range strings.Lines(section) {
		command, isCommand := strings.CutPrefix(strings.TrimSpace(line), "thicket-conformance ")
		switch {
		case strings.HasPrefix(line, "    # fill in"):
			path := filepath.Join(dir, "target.yaml")
			written, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(fillIn.Replace(string(written))), 0o600); err != nil {
				t.Fatal(err)
			}
		case isCommand && !strings.Contains(command, "--report"): // the whole suite is TestSuite's
			cmd := exec.CommandContext(t.Context(), filepath.Join(absolute, "bin/thicket-conformance"), strings.Fields(command)...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "THICKET_TEST_ROOT="+absolute)
			out, err := cmd.CombinedOutput()
			if said = string(out); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
	}
	if !strings.Contains(said, "2 passed, 0 failed, 0 skipped") {
		t.Errorf("the last command of the way said:\n%s", said)
	}
}
