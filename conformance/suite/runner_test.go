// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// idle is a subject that does nothing. Its name and features are its own.
type idle struct {
	name     string
	features []spec.Feature
}

func (i idle) Name() string                            { return i.name }
func (i idle) Features() []spec.Feature                { return i.features }
func (i idle) Version(context.Context) (string, error) { return "1", nil }

// What no subject of these tests has; nobody owes singing.
const (
	featureFly  spec.Feature = "fly"
	featureSing spec.Feature = "sing"
)

func tiny(id string, body func(context.Context, *T)) Case {
	return Case{Requirement: spec.Requirement{ID: id, Level: spec.Must, Title: id, Source: "test"}, Timeout: 5 * time.Second, Body: body}
}

func tinyProfile(cases ...Case) Profile {
	return Profile{
		Name: "tiny", Title: "Tiny cases", Features: map[spec.Feature]string{featureFly: "flying", featureSing: "singing"},
		Optional: []spec.Feature{featureSing}, Cases: cases,
	}
}

func skip(reason string) func(context.Context, *T) {
	return func(context.Context, *T) { ginkgo.Skip(reason) }
}

func pass(context.Context, *T) {}

// leavesProcess is a case that goes well and leaves a process, which its
// clean-up notices.
func leavesProcess(more func()) func(context.Context, *T) {
	return func(context.Context, *T) {
		ginkgo.DeferCleanup(func() { Expect(ForeignProcesses()).To(BeEmpty(), "processes that are left") })
		Expect(exec.Command("sleep", "3600").Start()).To(Succeed())
		more()
	}
}

// tinyCases are one of each way in which a case can end.
func tinyCases() []Case {
	should := tiny("TINY-07", func(context.Context, *T) { Expect(1).To(Equal(2)) })
	should.Level = spec.Should
	needs := tiny("TINY-08", func(context.Context, *T) { ginkgo.Fail("must not run") })
	needs.Needs = []spec.Feature{featureFly}
	optional := tiny("TINY-12", func(context.Context, *T) { ginkgo.Fail("must not run") })
	optional.Needs = []spec.Feature{featureFly, featureSing}
	return []Case{
		tiny("TINY-01", func(context.Context, *T) {
			Expect(os.Getpid()).NotTo(Equal(1))
			Expect(ForeignProcesses()).To(BeEmpty())
		}),
		tiny("TINY-02", func(context.Context, *T) { Expect("apple").To(Equal("pear")) }),
		tiny("TINY-03", skip("because 7")),
		tiny("TINY-04", func(context.Context, *T) { panic("boom") }),
		tiny("TINY-05", func(ctx context.Context, t *T) {
			ginkgo.DeferCleanup(func() { t.Tell(Story{Output: "the subject waits for a network"}) })
			<-ctx.Done()
		}),
		tiny("TINY-06", func(context.Context, *T) { _ = syscall.Kill(os.Getpid(), syscall.SIGSEGV); select {} }),
		should,
		needs,
		optional,
		tiny("TINY-09", leavesProcess(func() {})),
		tiny("TINY-11", leavesProcess(func() { ginkgo.Skip("not today") })),
		tiny("TINY-10", func(context.Context, *T) {
			ginkgo.DeferCleanup(func() {
				Eventually(ForeignProcesses).WithTimeout(3 * time.Second).Should(BeEmpty())
			})
			Expect(exec.Command("sh", "-c", "sleep 0.2 & exit 0").Run()).To(Succeed())
		}),
	}
}

// catalogOf is a catalog of these cases alone.
func catalogOf(t *testing.T, cases ...Case) *Catalog {
	t.Helper()
	c, err := NewCatalog(tinyProfile(cases...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// childOptions makes this test program run one case of its own catalog.
func childOptions(t *testing.T, cases ...Case) Options {
	t.Helper()
	o := Options{Settings: Settings{Subject: idle{name: "idle"}}, Catalog: catalogOf(t, cases...)}
	if IsChild() {
		RunChild(Child{Settings: o.Settings, Catalog: o.Catalog})
	}
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	o.WorkDir = t.TempDir()
	o.Command = func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", childArgs(t.Name(), nil)...)
	}
	return o
}

func TestRunnerOutcomes(t *testing.T) {
	o := childOptions(t, tinyCases()...)
	r, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		state   report.State
		failure report.Failure
		reason  string
	}{
		"TINY-01": {report.Passed, "", ""}, "TINY-02": {report.Failed, report.FailedAssertion, "pear"}, "TINY-03": {report.Skipped, "", "because 7"},
		"TINY-04": {report.Failed, report.FailedSuite, "boom"}, "TINY-05": {report.Failed, report.FailedDeadline, "did not end (the case may take 5s)"},
		"TINY-06": {report.Failed, report.FailedSuite, "no result"}, "TINY-07": {report.Failed, report.FailedAssertion, "to equal"},
		"TINY-08": {report.Skipped, "", "does not support flying"}, "TINY-09": {report.Failed, report.FailedLeftovers, "processes that are left"},
		"TINY-10": {report.Passed, "", ""}, "TINY-11": {report.Failed, report.FailedLeftovers, "processes that are left"},
		"TINY-12": {report.NotApplicable, "", "does not support singing"},
	}
	for _, c := range r.Cases {
		w := want[c.ID]
		if c.State != w.state || c.Failure != w.failure || !strings.Contains(c.Reason, w.reason) || (w.reason == "") != (c.Reason == "") {
			t.Errorf("%s: %s (%s) %q, want %s (%s) %q\n%s", c.ID, c.State, c.Failure, c.Reason, w.state, w.failure, w.reason, c.Story())
		}
	}
	for _, c := range r.Cases {
		if c.ID != "TINY-05" {
			continue
		}
		for _, want := range []string{"the target printed last\nthe subject waits for a network", "it was at ", "runner_test.go:"} {
			if told := c.Reason + "\n" + c.Brief(); !strings.Contains(told, want) {
				t.Errorf("%q is not told of a case that did not end: %s", want, told)
			}
		}
	}
	if n := r.Count(spec.Must); len(r.Cases) != 12 || n != (report.Count{Passed: 2, Failed: 6, Skipped: 2, NotApplicable: 1}) {
		t.Errorf("%d cases, counted %+v", len(r.Cases), n)
	}
	if left, _ := os.ReadDir(o.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}

// TestWaitingTakesNoPlace has a case wait for another one, which has to come to
// its turn though one case runs at a time.
func TestWaitingTakesNoPlace(t *testing.T) {
	// Told by the run: t.TempDir is another one in a case's process.
	shared := os.Getenv("THICKET_TEST_SHARED")
	waits := tiny("TINY-01", func(ctx context.Context, _ *T) {
		Eventually(func() string { return filepath.Join(shared, "done") }).WithContext(ctx).WithTimeout(time.Minute).Should(BeAnExistingFile(), "the other case's file")
	})
	waits.Waits, waits.Slow = true, time.Minute
	o := childOptions(t, waits, tiny("TINY-02", func(context.Context, *T) {
		Expect(os.WriteFile(filepath.Join(shared, "done"), nil, 0o600)).To(Succeed())
	}))
	o.Parallel, o.Environment = 1, []string{"THICKET_TEST_SHARED=" + t.TempDir()}
	r, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Count(spec.Must); n.Passed != 2 {
		t.Errorf("%+v: %s", n, r.Cases[0].Reason)
	}
}

func TestCancelEndsChildren(t *testing.T) {
	hang := tiny("TINY-01", func(context.Context, *T) { select {} })
	hang.Timeout = time.Hour
	o := childOptions(t, hang)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	command := o.Command
	o.Command = func(ctx context.Context) *exec.Cmd { defer close(started); return command(ctx) }
	go func() { <-started; cancel() }()
	begin := time.Now()
	r, err := Judge(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if c := r.Cases[0]; c.State != report.Skipped || c.Reason != cancelled {
		t.Errorf("a cancelled case is %s: %s", c.State, c.Reason)
	}
	reports := t.TempDir()
	if err := r.Write(reports); err != nil {
		t.Error(err)
	}
	if junit, err := os.ReadFile(filepath.Join(reports, "junit.xml")); err != nil || !strings.Contains(string(junit), `<error message="`+cancelled) {
		t.Errorf("a cancelled run has the JUnit file %s, %v", junit, err)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
	if left, _ := os.ReadDir(o.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}
