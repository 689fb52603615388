// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"os"
	"os/exec"
	"testing"
)

// RunTest runs the selected cases as subtests of t. It re-executes the test
// program for each case, with only this test selected, so whatever precedes
// RunTest in the test runs again for each. A failed MUST fails its subtest, a
// failed SHOULD is logged, a skipped case is skipped with its reason.
func RunTest(t *testing.T, o Options) {
	t.Helper()
	if IsChild() {
		RunChild(o.Settings)
	}
	o.Command = func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=0")
	}
	o.Progress = func(done, of int, r CaseResult) {
		t.Logf("%3d/%d %-7s %s (%.1f s)", done, of, r.State, r.ID, r.Seconds)
	}
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("REPORT"); dir != "" {
		if err := report.Write(dir); err != nil {
			t.Error(err)
		}
	}
	for _, r := range report.Cases {
		t.Run(r.ID, func(t *testing.T) {
			switch {
			case r.State == Skipped:
				t.Skip(r.Reason)
			case r.State == Failed && r.Level == Must:
				t.Errorf("%s\n%s\n%s", r.Title, r.Reason, r.Output)
			case r.State == Failed:
				t.Logf("a SHOULD that is not kept: %s\n%s", r.Title, r.Reason)
			}
		})
	}
}
