// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// idleTarget is a target whose daemon is never started.
type idleTarget struct{ features []Feature }

func (idleTarget) Name() string                            { return "idle" }
func (t idleTarget) Features() []Feature                   { return t.features }
func (idleTarget) Version(context.Context) (string, error) { return "1", nil }
func (idleTarget) ShimPath() string                        { return "/bin/true" }
func (idleTarget) ShimConfig(Paths) ([]byte, error)        { return []byte("{}"), nil }
func (idleTarget) DaemonConfig(Paths) ([]byte, error)      { return []byte("{}"), nil }
func (idleTarget) Install(context.Context, Paths) error    { return errors.ErrUnsupported }
func (idleTarget) StartDaemon(context.Context, Paths, []byte) (Process, error) {
	return nil, errors.ErrUnsupported
}

func tiny(id string, body func(context.Context, *Env)) Case {
	return Case{ID: id, Profile: "socket", Level: Must, Title: id, Source: "test", Timeout: 5 * time.Second, Body: body}
}

// tinyCases are one of each way in which a case can end.
func tinyCases() []Case {
	should := tiny("TINY-07", func(context.Context, *Env) { Expect(1).To(Equal(2)) })
	should.Level = Should
	needs := tiny("TINY-08", func(context.Context, *Env) { ginkgo.Fail("must not run") })
	needs.Needs = []Feature{FeatureKill}
	return []Case{
		tiny("TINY-01", func(context.Context, *Env) {
			Expect(os.Getpid()).NotTo(Equal(1))
			Expect(foreignProcesses()).To(BeEmpty())
		}),
		tiny("TINY-02", func(context.Context, *Env) { Expect("apple").To(Equal("pear")) }),
		tiny("TINY-03", func(_ context.Context, e *Env) { e.Skipf("because %d", 7) }),
		tiny("TINY-04", func(context.Context, *Env) { panic("boom") }),
		tiny("TINY-05", func(ctx context.Context, _ *Env) { <-ctx.Done() }),
		tiny("TINY-06", func(context.Context, *Env) { _ = syscall.Kill(os.Getpid(), syscall.SIGSEGV); select {} }),
		should,
		needs,
		tiny("TINY-09", func(context.Context, *Env) {
			Expect(exec.Command("sleep", "3600").Start()).To(Succeed()) //nolint:noctx // left behind on purpose
		}),
		tiny("TINY-11", func(_ context.Context, e *Env) {
			Expect(exec.Command("sleep", "3600").Start()).To(Succeed()) //nolint:noctx // a skip must not hide it
			e.Skipf("not today")
		}),
		tiny("TINY-10", func(context.Context, *Env) {
			Expect(exec.Command("sh", "-c", "sleep 0.2 & exit 0").Run()).To(Succeed()) //nolint:noctx // orphaned, then reaped
		}),
	}
}

// childOptions makes this test program run one case of its own catalog.
func childOptions(t *testing.T, cases ...Case) Options {
	t.Helper()
	saved := catalog
	catalog = nil
	register(cases...)
	t.Cleanup(func() { catalog = saved })
	s := Settings{Target: idleTarget{}, FakeDelegate: "/bin/true"}
	if IsChild() {
		RunChild(s)
	}
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	s.WorkDir = t.TempDir()
	return Options{Settings: s, Command: func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=0")
	}}
}

func TestRunnerOutcomes(t *testing.T) {
	o := childOptions(t, tinyCases()...)
	report, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		state  State
		reason string
	}{
		"TINY-01": {Passed, ""}, "TINY-02": {Failed, "pear"}, "TINY-03": {Skipped, "because 7"},
		"TINY-04": {Failed, "boom"}, "TINY-05": {Failed, "timeout"}, "TINY-06": {Failed, "no result"},
		"TINY-07": {Failed, "to equal"}, "TINY-08": {Skipped, "does not support killing"},
		"TINY-09": {Failed, "processes that are left"}, "TINY-10": {Passed, ""},
		"TINY-11": {Failed, "processes that are left"},
	}
	for _, r := range report.Cases {
		w := want[r.ID]
		if r.State != w.state || !strings.Contains(r.Reason, w.reason) || (w.reason == "") != (r.Reason == "") {
			t.Errorf("%s: %s %q, want %s %q\n%s", r.ID, r.State, r.Reason, w.state, w.reason, r.Story())
		}
	}
	if n := report.Count(Must); len(report.Cases) != 11 || n != (Count{Passed: 2, Failed: 6, Skipped: 2}) {
		t.Errorf("%d cases, counted %+v", len(report.Cases), n)
	}
	if left, _ := os.ReadDir(o.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}

func TestCancelEndsChildren(t *testing.T) {
	hang := tiny("TINY-01", func(context.Context, *Env) { select {} })
	hang.Timeout = time.Hour
	o := childOptions(t, hang)
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	command := o.Command
	o.Command = func(ctx context.Context) *exec.Cmd { defer close(started); return command(ctx) }
	go func() { <-started; cancel() }()
	begin := time.Now()
	report, err := Judge(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if r := report.Cases[0]; r.State != Skipped || r.Reason != cancelled {
		t.Errorf("a cancelled case is %s: %s", r.State, r.Reason)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
	if left, _ := os.ReadDir(o.WorkDir); len(left) != 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}

func TestRegisterRefuses(t *testing.T) {
	good := tiny("TINY-01", func(context.Context, *Env) {})
	bad := map[string]func(*Case){
		"id": func(c *Case) { c.ID = "tiny1" }, "profile": func(c *Case) { c.Profile = "x" }, "level": func(c *Case) { c.Level = "MAY" },
		"title": func(c *Case) { c.Title = "" }, "source": func(c *Case) { c.Source = "" }, "body": func(c *Case) { c.Body = nil },
		"feature": func(c *Case) { c.Needs = []Feature{"x"} }, "twice": func(*Case) {},
	}
	saved := catalog
	defer func() { catalog = saved }()
	for name, spoil := range bad {
		catalog = nil
		if name == "twice" {
			register(good)
		}
		c := good
		spoil(&c)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: registered", name)
				}
			}()
			register(c)
		}()
	}
}

func TestSelect(t *testing.T) {
	saved := catalog
	defer func() { catalog = saved }()
	catalog = nil
	slow := tiny("EP-02", func(context.Context, *Env) {})
	slow.Profile, slow.Slow = "endpoint", time.Minute
	register(slow, tiny("SOCK-10", slow.Body), tiny("SOCK-02", slow.Body))
	ids := func(s Selection) string {
		cases, err := Select(s)
		if err != nil {
			return err.Error()
		}
		var ids []string
		for _, c := range cases {
			ids = append(ids, c.ID)
		}
		return strings.Join(ids, " ")
	}
	for want, s := range map[string]Selection{
		"SOCK-02 SOCK-10 EP-02": {}, "SOCK-02 SOCK-10": {Fast: true}, "EP-02": {Profiles: []string{"endpoint"}},
		"SOCK-10": {IDs: []string{"SOCK-10"}}, "": {Level: Should},
		`case "X-01" is unknown; there are SOCK-02, SOCK-10, EP-02`: {IDs: []string{"X-01"}},
	} {
		if got := ids(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	if got := ids(Selection{Profiles: []string{"sockets"}}); !strings.Contains(got, `profile "sockets" is unknown`) || !strings.Contains(got, "endpoint") {
		t.Error(got)
	}
}

const goodTarget = `apiVersion: conformance.thicket-cni.io/v1alpha1
kind: Target
name: x
root: .
shim: {path: shim, config: '{"d": "{{.RunDir}}"}'}
daemon:
  command: [daemon, "{{.ConfigFile}}"]
  config: '{"d": "{{.CacheDir}}"{{if .RequestLimit}}, "l": {{.RequestLimit}}{{end}}}'
version: [daemon]
features: [kill]
`

func TestLoadTarget(t *testing.T) {
	load := func(t *testing.T, content string) (Target, error) {
		dir := t.TempDir()
		for _, name := range []string{"shim", "daemon"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho v1\nexit 4\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "target.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		target, err := LoadTarget(path)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
		return target, err
	}
	good, err := load(t, goodTarget)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := good.Version(t.Context()); v != "v1" || err != nil {
		t.Error(v, err)
	}
	elsewhere := strings.Replace(goodTarget, "root: .", "root: /nowhere", 1)
	if _, err := load(t, elsewhere); err == nil || !strings.Contains(err.Error(), " /nowhere)") {
		t.Errorf("an absolute root: %v", err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":          {"kind:", "colour: red\nkind:", "colour"},
		"api version":          {"v1alpha1", "v9", "v1alpha1"},
		"no name":              {"name: x", "name: ''", "name"},
		"no shim":              {"shim: {path: shim,", "shim: {path: '',", "shim.path"},
		"no command":           {`[daemon, "{{.ConfigFile}}"]`, "[]", "daemon.command"},
		"feature":              {"[kill]", "[fly]", "fly"},
		"install":              {"[kill]", "[install]", "install"},
		"missing binary":       {"path: shim", "path: shimm", "shimm"},
		"template syntax":      {"{{.CacheDir}}", "{{.CacheDir", "daemon.config"},
		"unknown path":         {"{{.CacheDir}}", "{{.Cache}}", "daemon.config"},
		"not JSON":             {`'{"d": "{{.RunDir}}"}'`, `'{"d": {{.RunDir}}}'`, "shim.config"},
		"command template":     {"{{.ConfigFile}}", "{{.Config}}", "daemon.command"},
		"conditional not JSON": {`, "l": {{.RequestLimit}}`, ` "l": {{.RequestLimit}}`, "daemon.config"},
		"empty":                {goodTarget, "", "apiVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, strings.Replace(goodTarget, c.old, c.new, 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("err = %v, want it to name %s", err, c.want)
			}
		})
	}
}

func TestReportRenders(t *testing.T) {
	r := &Report{Started: time.Unix(0, 0).UTC(), Seconds: 3}
	r.Cases = []CaseResult{
		{ID: "SOCK-01", Level: Must, Profile: "socket", State: Passed},
		{ID: "SOCK-02", Level: Must, Profile: "socket", State: Failed, Reason: "a <b> & \x01\nmore", Output: "log"},
		{ID: "EP-14", Level: Should, Profile: "endpoint", State: Skipped, Reason: "cannot"},
	}
	r.summarize()
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	names, _ := os.ReadDir(dir)
	if len(names) != 4 {
		t.Errorf("%v", names)
	}
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || !slices.Equal(back.Summary, []ProfileSummary{
		{"socket", Count{1, 1, 0}, Count{}}, {"endpoint", Count{}, Count{0, 0, 1}},
	}) {
		t.Error(err, back.Summary)
	}
	data, err = os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := d.Token(); err != nil {
			if err.Error() != "EOF" {
				t.Error(err)
			}
			break
		}
	}
	for _, want := range []string{`<testsuite name="socket"`, `<skipped message="cannot"`, "a &lt;b&gt; &amp;"} {
		if !bytes.Contains(data, []byte(want)) {
			t.Errorf("no %s in %s", want, data)
		}
	}
}
