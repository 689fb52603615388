// SPDX-License-Identifier: Apache-2.0

package thick_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// idle is a target whose daemon is never started.
type idle struct{}

func (idle) Name() string                               { return "idle" }
func (idle) Features() []spec.Feature                   { return nil }
func (idle) Version(context.Context) (string, error)    { return "1", nil }
func (idle) ShimPath() string                           { return "/bin/true" }
func (idle) ShimConfig(thick.Paths) ([]byte, error)     { return []byte("{}"), nil }
func (idle) DaemonConfig(thick.Paths) ([]byte, error)   { return []byte("{}"), nil }
func (idle) Install(context.Context, thick.Paths) error { return errors.ErrUnsupported }
func (idle) StartDaemon(context.Context, thick.Paths, []byte) (thick.Process, error) {
	return nil, errors.ErrUnsupported
}

func tiny(id string, body func(context.Context, *thick.Env)) thick.Case {
	return thick.Case{ID: id, Level: spec.Must, Title: id, Source: "test", Timeout: 5 * time.Second, Body: body}
}

// TestCaseOutcomes has what an environment adds to the engine's outcomes: a
// skip by it, features, and the search for what is left.
func TestCaseOutcomes(t *testing.T) {
	needs := tiny("TINY-08", func(_ context.Context, e *thick.Env) { e.Skipf("must not run") })
	needs.Needs = []spec.Feature{thick.FeatureKill}
	leave := func() { Expect(exec.Command("sleep", "3600").Start()).To(Succeed()) }
	catalog, err := suite.NewCatalog(thick.NewProfile("tiny", "Tiny cases",
		tiny("TINY-03", func(_ context.Context, e *thick.Env) { e.Skipf("because %d", 7) }),
		needs,
		tiny("TINY-09", func(context.Context, *thick.Env) { leave() }),
		tiny("TINY-10", func(context.Context, *thick.Env) {
			Expect(exec.Command("sh", "-c", "sleep 0.2 & exit 0").Run()).To(Succeed())
		}),
		tiny("TINY-11", func(_ context.Context, e *thick.Env) { leave(); e.Skipf("not today") }), // a skip must not hide it
	))
	if err != nil {
		t.Fatal(err)
	}
	o := suite.Options{Settings: suite.Settings{Subject: idle{}, Setup: thick.Settings{Target: idle{}, FakeDelegate: "/bin/true"}}, Catalog: catalog}
	if suite.IsChild() {
		suite.RunChild(suite.Child{Settings: o.Settings, Catalog: o.Catalog})
	}
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	o.WorkDir = t.TempDir()
	o.Command = func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=0")
	}
	r, err := suite.Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		state   report.State
		failure report.Failure
		reason  string
	}{
		"TINY-03": {report.Skipped, "", "because 7"}, "TINY-08": {report.Skipped, "", "does not support killing"},
		"TINY-09": {report.Failed, report.FailedLeftovers, "processes that are left"}, "TINY-10": {report.Passed, "", ""},
		"TINY-11": {report.Failed, report.FailedLeftovers, "processes that are left"},
	}
	for _, c := range r.Cases {
		w := want[c.ID]
		if c.State != w.state || c.Failure != w.failure || !strings.Contains(c.Reason, w.reason) || (w.reason == "") != (c.Reason == "") {
			t.Errorf("%s: %s (%s) %q, want %s (%s) %q\n%s", c.ID, c.State, c.Failure, c.Reason, w.state, w.failure, w.reason, c.Story())
		}
	}
	if left, _ := os.ReadDir(o.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}
