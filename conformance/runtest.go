// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// envFakeDelegate names the fake delegate that Run has built, for the cases.
const envFakeDelegate = "THICKET_CONFORMANCE_FAKE_DELEGATE"

// Config is what Run needs. Target is required.
type Config struct {
	// Target is the implementation to judge: LoadTarget's, or one's own.
	Target Target
	// Selection are the cases to run; the zero value is all of them.
	Selection Selection
	// FakeDelegate is the built fakes/delegate; when it is empty, Run builds it
	// with the go command.
	FakeDelegate string
	// PluginDir holds the real CNI plugins (bridge, host-local …); cases that
	// need them are skipped with a reason when it is empty.
	PluginDir string
	// Kubeconfig and KubernetesAssets are where a target with the feature
	// kubernetes gets its API from; see Settings.
	Kubeconfig, KubernetesAssets string
	// Parallel and Seed are those of Options.
	Parallel int
	Seed     uint64
	// ReportDir is where the reports are written; empty for the directory that
	// the environment variable REPORT names, or nowhere.
	ReportDir string
}

// Run judges a target within somebody's own go test: each case is a subtest of
// t. A failed MUST fails its subtest, a failed SHOULD is logged, a skipped case
// is skipped with its reason. It needs root, for namespaces and sockets.
//
// Run re-executes the test program for each case, with only this test selected,
// so whatever precedes Run in the test runs again for each.
func Run(t *testing.T, c Config) {
	t.Helper()
	o := c.options(t)
	if IsChild() {
		RunChild(o.Settings)
	}
	o.Command = func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=0")
	}
	o.Progress = func(done, of int, r CaseResult) {
		t.Logf("%3d/%d %-7s %s (%.1f s)", done, of, r.State, r.ID, r.Seconds)
	}
	report, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, version %q, judged by suite %s, seed %d", report.Target.Name, report.Target.Version, report.Suite.Version, report.Seed)
	if c.ReportDir != "" {
		if err := report.Write(c.ReportDir); err != nil {
			t.Error(err)
		}
	}
	for _, r := range report.Cases {
		t.Run(r.ID, func(t *testing.T) {
			switch {
			case r.State == Skipped:
				t.Skip(r.Reason)
			case r.State == Failed && r.Level == Must:
				t.Errorf("%s\n%s\n%s", r.Title, r.Reason, r.Story())
			case r.State == Failed:
				t.Logf("a SHOULD that is not kept: %s\n%s", r.Title, r.Reason)
			}
		})
	}
}

// options fills in what the configuration leaves open.
func (c *Config) options(t *testing.T) Options {
	t.Helper()
	if c.Target == nil {
		t.Fatal("conformance.Config.Target is missing; LoadTarget reads one")
	}
	if c.ReportDir == "" {
		c.ReportDir = os.Getenv("REPORT")
	}
	if c.FakeDelegate == "" {
		c.FakeDelegate = os.Getenv(envFakeDelegate)
	}
	if c.FakeDelegate == "" {
		var err error
		if c.FakeDelegate, err = buildFakeDelegate(t.Context(), t.TempDir()); err != nil {
			t.Fatal(err)
		}
		t.Setenv(envFakeDelegate, c.FakeDelegate)
	}
	return Options{Selection: c.Selection, Parallel: c.Parallel, Seed: c.Seed, Settings: Settings{
		Target: c.Target, FakeDelegate: c.FakeDelegate, PluginDir: c.PluginDir, Kubeconfig: c.Kubeconfig, KubernetesAssets: c.KubernetesAssets,
	}}
}

// buildFakeDelegate builds the delegate that cases script, from this module as
// the test's own module requires it.
func buildFakeDelegate(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "fake-delegate")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/thicket-cni/thicket/fakes/delegate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the fake delegate: %w: %s; build it yourself and set Config.FakeDelegate", err, out)
	}
	return path, nil
}
