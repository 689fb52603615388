// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// envFakeDelegate names the fake delegate that Run has built, for the cases.
const envFakeDelegate = "THICKET_CONFORMANCE_FAKE_DELEGATE"

// Config is what Run needs. Target is required.
type Config struct {
	// Target is the implementation to judge: Load's, or one's own.
	Target Subject
	// Selection are the cases to run; the zero value is all of them.
	Selection Selection
	// Profiles and Setup are those of Settings.
	Profiles []Profile
	Setup    any
	// FakeDelegate is the built fakes/delegate; when it is empty, Run builds it
	// with the go command.
	FakeDelegate string
	// PluginDir, Kubeconfig and KubernetesAssets are those of Settings.
	PluginDir                    string
	Kubeconfig, KubernetesAssets string
	// Parallel and Seed are those of Options.
	Parallel int
	Seed     uint64
	// ReportDir is where the reports are written; empty for the directory that
	// the environment variable REPORT names, or nowhere.
	ReportDir string
}

// Run judges a target within somebody's own go test: each case is a subtest of
// t, and go test's -run selects among them. A failed MUST fails its subtest, a
// failed SHOULD is logged, a skipped case is skipped with its reason. It needs
// root, for namespaces and sockets.
//
// Run executes the test program again for each case, with t alone selected, so
// what precedes Run in the test happens again for each.
func Run(t *testing.T, c Config) {
	t.Helper()
	if c.Target == nil {
		t.Fatal("conformance.Config.Target is missing; Load reads one")
	}
	if c.FakeDelegate == "" {
		c.FakeDelegate = os.Getenv(envFakeDelegate)
	}
	var built []string
	if c.FakeDelegate == "" && !IsChild() {
		var err error
		if c.FakeDelegate, err = buildFakeDelegate(t.Context(), t.TempDir()); err != nil {
			t.Fatal(err)
		}
		built = []string{envFakeDelegate + "=" + c.FakeDelegate}
	}
	settings := Settings{Target: c.Target, Profiles: c.Profiles, Setup: c.Setup, FakeDelegate: c.FakeDelegate, PluginDir: c.PluginDir,
		Kubeconfig: c.Kubeconfig, KubernetesAssets: c.KubernetesAssets}
	o, err := (&Options{Settings: settings, Selection: c.Selection, Parallel: c.Parallel, Seed: c.Seed}).options()
	if err != nil {
		t.Fatal(err)
	}
	o.Environment = built
	if c.ReportDir == "" {
		c.ReportDir = os.Getenv("REPORT")
	}
	suite.Run(t, o, c.ReportDir)
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
