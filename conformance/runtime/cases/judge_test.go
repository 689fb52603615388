// SPDX-License-Identifier: Apache-2.0

package cases

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/targets"
	thin "github.com/thicket-cni/thicket/fakes/runtime"
)

// TestMain makes this program the small runtime when it is executed by its name.
func TestMain(m *testing.M) {
	if fault, ok := thin.Named(os.Args[0]); ok {
		os.Exit(thin.Main(fault, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// judge has the program that place puts at a path judged as a runtime.
func judge(t *testing.T, place func(path string) error, ids ...string) (*report.Report, error) {
	t.Helper()
	if os.Geteuid() != 0 && !suite.IsChild() {
		t.Skip("namespaces need root")
	}
	dir := os.Getenv("THICKET_TEST_DIR")
	path := filepath.Join(dir, thin.Name)
	if !suite.IsChild() {
		dir = t.TempDir()
		path = filepath.Join(dir, thin.Name)
		if err := place(path); err != nil {
			t.Fatal(err)
		}
	}
	target, err := runtime.Override{Adapter: path}.Parse(targets.ThinRuntime, "thin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := suite.NewCatalog(Profile())
	if err != nil {
		t.Fatal(err)
	}
	settings := runtime.Settings{Target: target}
	all := suite.Settings{Subject: target, Setup: settings, Tasks: settings.Tasks()}
	if suite.IsChild() {
		suite.RunChild(suite.Child{Settings: all, Catalog: catalog})
	}
	return suite.Judge(t.Context(), suite.Options{Settings: all, Catalog: catalog, Selection: suite.Selection{IDs: ids, Fast: testing.Short()}, Services: settings.Services(),
		Command: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=0")
			cmd.Env = append(os.Environ(), "THICKET_TEST_DIR="+dir)
			return cmd
		}})
}

func linkToSelf(path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return os.Symlink(self, path)
}

// TestThinRuntime has the small runtime without a fault judged by all cases.
func TestThinRuntime(t *testing.T) {
	r, err := judge(t, linkToSelf)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cases {
		if c.State != report.Passed {
			t.Errorf("%s %s: %s\n%s", c.ID, c.State, c.Reason, c.Story())
		}
	}
}

func TestNotSetUpFails(t *testing.T) {
	expectNotSetUp(t, "echo of-the-runtime; exit 1", "of-the-runtime")
}

func TestNotSetUpExecutesNothing(t *testing.T) {
	expectNotSetUp(t, "exit 0", "executes none of the plugins")
}

// expectNotSetUp has a program judged that is not set up as a runtime: no case is
// judged, and what it said is told.
func expectNotSetUp(t *testing.T, script, want string) {
	t.Helper()
	_, err := judge(t, func(path string) error { return os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n%s\n", script), 0o755) }, "RT-01")
	for _, want := range []string{"the target is not set up", want} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want it to have %q", err, want)
		}
	}
}
