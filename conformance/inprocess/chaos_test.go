// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestChaosCanFail makes chaos with daemons that have one fault each, which
// requests in a calm do not show, or only at the end.
func TestChaosCanFail(t *testing.T) {
	if os.Getenv("THICKET_TEST_CHAOS") == "" {
		t.Skip("make mutants runs it: it takes minutes, and judges chaos rather than Thicket")
	}
	for mutant, says := range map[string]string{
		"hot-plug-forgotten":     "DEL was answered with success, and there still are",
		"record-after-delegates": "still are",
		"check-always-succeeds":  "CHECK succeeds though the interface",
		"gc-valid-ignored":       "CHECK fails though nothing gave it a reason",
	} {
		t.Run(mutant, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin/thicket-conformance"), "chaos", "--mutant", mutant, "--time", "40s", "--seed", "1")
			out, err := cmd.CombinedOutput()
			var status *exec.ExitError
			if !errors.As(err, &status) || status.ExitCode() != 1 || !strings.Contains(string(out), says) {
				t.Errorf("%v; want 1 and %q in\n%s", err, says, out)
			}
		})
	}
}
