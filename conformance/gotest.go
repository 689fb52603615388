// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"cmp"
	"os"
	"testing"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Config is what Run needs. Target is required.
type Config struct {
	// Target is the implementation to judge: Load's, or one's own.
	Target Subject
	// Selection are the cases to run; the zero value is all of them.
	Selection Selection
	// Profiles and Setup are those of Settings.
	Profiles []Profile
	Setup    any
	// FakeDelegate, PluginDir, Kubeconfig and KubernetesAssets are those of
	// Settings.
	FakeDelegate, PluginDir      string
	Kubeconfig, KubernetesAssets string
	// NoPreflight is the one of Settings.
	NoPreflight bool
	// Parallel and Seed are those of Options.
	Parallel int
	Seed     uint64
	// Slow multiplies all deadlines, on a slow machine: that of Options. When it is zero,
	// $SLOW.
	Slow float64
	// Waivers is a waivers file, whose failures are skipped with the reason until
	// they expire; empty for the file that the environment variable WAIVERS names,
	// or none. Selection.Skip leaves cases out.
	Waivers string
	// Baseline is an earlier report.json: only what got worse fails. Empty for the
	// one that the environment variable BASELINE names, or none.
	Baseline string
	// Implementation says whose the target is, for the report.
	Implementation Implementation
	// ReportDir is where the reports are written; empty for the directory that
	// the environment variable REPORT names, or nowhere.
	ReportDir string
	// KeepDir is where what the cases make is kept, each case's in a directory of
	// its own; empty for the directory that the environment variable KEEP names,
	// or nowhere.
	KeepDir string
}

// Run judges a target within somebody's own go test: each case is a subtest of
// t, and go test's -run selects among them. A failed MUST fails its subtest, a
// failed SHOULD is logged, a skipped case is skipped with its reason. It needs
// root, for namespaces and sockets.
//
// Run executes the test program again for each case, with t alone selected and
// with the flags that are not go test's own, so what precedes Run in the test
// happens again for each. Another Run of the same test does nothing there.
func Run(t *testing.T, c Config) {
	t.Helper()
	if c.Target == nil {
		t.Fatal("conformance.Config.Target is missing; Load reads one")
	}
	settings := Settings{Target: c.Target, Profiles: c.Profiles, Setup: c.Setup, NoPreflight: c.NoPreflight, FakeDelegate: c.FakeDelegate, PluginDir: c.PluginDir,
		Kubeconfig: c.Kubeconfig, KubernetesAssets: c.KubernetesAssets}
	options := Options{Settings: settings, Selection: c.Selection, Parallel: c.Parallel, Seed: c.Seed, Slow: c.Slow, Implementation: c.Implementation,
		Keep: cmp.Or(c.KeepDir, os.Getenv("KEEP"))}
	if !IsChild() { // which need not see them
		var err error
		options.Waivers, options.Baseline, err = report.ReadKnown(cmp.Or(c.Waivers, os.Getenv("WAIVERS")), cmp.Or(c.Baseline, os.Getenv("BASELINE")))
		if err != nil {
			t.Fatal(err)
		}
	}
	o, err := options.options()
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := o.Setup.(thick.Settings); ok && s.PluginDir == "" && !IsChild() {
		thick.WithoutPlugins()
	}
	suite.Run(t, o, cmp.Or(c.ReportDir, os.Getenv("REPORT")))
}
