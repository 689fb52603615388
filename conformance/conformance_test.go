// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// TestCatalogIsTheContract counts the rows: a requirement that lost its case
// would otherwise be noticed by nobody.
func TestCatalogIsTheContract(t *testing.T) {
	rows := map[string]int{"socket": 12, "ready": 9, "endpoint": 14, "shim": 14, "add": 15, "del": 9, "check": 7}
	prefixes := map[string]string{"socket": "SOCK", "ready": "READY", "endpoint": "EP", "shim": "SHIM", "add": "ADD", "del": "DEL", "check": "CHECK"}
	should := map[string]bool{"EP-14": true, "SHIM-13": true, "SHIM-14": true, "ADD-11": true, "CHECK-06": true}
	got := map[string]int{}
	for _, c := range Catalog() {
		if prefix(c.ID) == faultyPrefix {
			continue
		}
		got[c.Profile]++
		if prefix(c.ID) != prefixes[c.Profile] {
			t.Errorf("%s is in profile %s", c.ID, c.Profile)
		}
		if want := map[bool]Level{true: Should, false: Must}[should[c.ID]]; c.Level != want {
			t.Errorf("%s is a %s, want %s", c.ID, c.Level, want)
		}
	}
	for profile, want := range rows {
		if got[profile] != want {
			t.Errorf("profile %s has %d cases, the contract has %d rows", profile, got[profile], want)
		}
		for n := range want {
			if id := prefixes[profile] + "-" + twoDigits(n+1); !has(id) {
				t.Errorf("%s has no case", id)
			}
		}
	}
}

func has(id string) bool { _, ok := find(id); return ok }

func twoDigits(n int) string {
	if n < 10 {
		return "0" + itoa(n)
	}
	return itoa(n)
}

// faultyPrefix heads the ids of the cases below, which exist in this test only.
const faultyPrefix = "TEST"

func init() {
	faulty := func(id string, timeout time.Duration, needs []Feature, f func(context.Context, *Env)) Case {
		return Case{ID: faultyPrefix + "-" + id, Profile: "socket", Level: Must, Title: "t", Source: "s", Timeout: timeout, Needs: needs, Body: f}
	}
	register(
		faulty("01", 0, nil, func(context.Context, *Env) {}),
		faulty("02", 0, nil, func(context.Context, *Env) { Expect(1).To(Equal(2), "one is not two") }),
		faulty("03", 0, nil, func(_ context.Context, e *Env) { e.Skipf("because of %s", "this") }),
		faulty("04", 0, []Feature{FeatureKill}, func(context.Context, *Env) {}),
		faulty("05", 0, nil, func(context.Context, *Env) { panic("oh") }),
		faulty("06", time.Second, nil, func(context.Context, *Env) { select {} }),
		faulty("07", 0, nil, func(context.Context, *Env) { os.Exit(0) }),
		faulty("08", 0, nil, func(_ context.Context, e *Env) {
			Expect(exec.Command("sleep", "1000").Start()).To(Succeed()) //nolint:noctx // left behind on purpose
		}),
		faulty("09", 0, nil, func(_ context.Context, e *Env) {
			s := e.Sandbox()
			s.AddInterface("left0")
			e.File("cache/record", s.ID)
		}),
		faulty("10", 0, nil, func(context.Context, *Env) { ginkgo.Fail("said so") }),
	)
}

// nothing is a target that nobody starts.
type nothing struct{ Target }

func (nothing) Name() string                            { return "nothing" }
func (nothing) Features() []Feature                     { return nil }
func (nothing) Version(context.Context) (string, error) { return "0", nil }

// TestRunnerTellsFaultsApart runs cases that pass, fail, are skipped, hang,
// panic, end the process and leave things behind.
func TestRunnerTellsFaultsApart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{Target: nothing{}, FakeDelegate: self}
	if IsChild() {
		RunChild(settings)
	}
	ids := []string{"TEST-01", "TEST-02", "TEST-03", "TEST-04", "TEST-05", "TEST-06", "TEST-07", "TEST-08", "TEST-09", "TEST-10"}
	report, err := Run(t.Context(), Options{
		Settings: settings, Selection: Selection{IDs: ids},
		Command: func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		state  State
		reason string
	}{
		"TEST-01": {Passed, ""},
		"TEST-02": {Failed, "one is not two"},
		"TEST-03": {Skipped, "because of this"},
		"TEST-04": {Skipped, "nothing does not support killing the daemon"},
		"TEST-05": {Failed, "oh"},
		"TEST-06": {Failed, "timeout"},
		"TEST-07": {Failed, "gave no result"},
		"TEST-08": {Failed, "sleep 1000"},
		"TEST-09": {Failed, "interface left0"},
		"TEST-10": {Failed, "said so"},
	}
	for _, c := range report.Cases {
		if w := want[c.ID]; c.State != w.state || !strings.Contains(c.Reason, w.reason) {
			t.Errorf("%s: %s, %q; want %s, %q\n%s", c.ID, c.State, c.Reason, w.state, w.reason, c.Output)
		}
	}
	if n := report.Count(Must); n != (Count{Passed: 1, Failed: 7, Skipped: 2}) {
		t.Errorf("count %+v", n)
	}
	checkRendering(t, report)
}

func checkRendering(t *testing.T, report *Report) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "report")
	if err := report.Write(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(data, &again); err != nil || len(again.Cases) != len(report.Cases) {
		t.Errorf("report.json: %v", err)
	}
	data, err = os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
	}
	if err := xml.Unmarshal(data, &junit); err != nil || junit.Tests != 10 || junit.Failures != 7 {
		t.Errorf("junit.xml: %+v, %v", junit, err)
	}
}

func TestSelectNamesWhatIsKnown(t *testing.T) {
	if _, err := Select(Selection{Profiles: []string{"sokcet"}}); err == nil || !strings.Contains(err.Error(), "socket") {
		t.Errorf("got %v", err)
	}
	if _, err := Select(Selection{IDs: []string{"SOCK-99"}}); err == nil || !strings.Contains(err.Error(), "SOCK-99") {
		t.Errorf("got %v", err)
	}
}

func TestTargetFileErrors(t *testing.T) {
	good := string(ThicketTarget)
	for name, tc := range map[string]struct{ old, new, want string }{
		"unknown key":      {"kind: Target", "kind: Target\nflavour: x", "flavour"},
		"wrong kind":       {"kind: Target", "kind: Goal", "want apiVersion"},
		"no name":          {"name: thicket\n", "name: \"\"\n", "name is missing"},
		"unknown feature":  {"features: [readyz", "features: [flying, readyz", `feature "flying" is unknown`},
		"bad template":     {`"daemonSocketDir": "{{.RunDir}}"`, `"daemonSocketDir": "{{.RunDri}}"`, "shim.config"},
		"not JSON":         {`"logToStderr": true`, `"logToStderr": yes`, "daemon.config does not render to a JSON object"},
		"no installer":     {"install: [bin/thicketd, install, --dest, \"{{.InstallDir}}\"]", "", "feature install needs"},
		"executable gone":  {"path: bin/thicket-shim", "path: bin/no-such-shim", "no-such-shim"},
		"no shim":          {"path: bin/thicket-shim", "path: \"\"", "shim.path"},
		"not even YAML at": {"kind: Target", "kind: [", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(good, tc.old, tc.new, 1)
			if changed == good {
				t.Fatalf("%q is not in the target file", tc.old)
			}
			_, err := ParseTarget([]byte(changed), "targets/t.yaml", "/nonexistent")
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "targets/t.yaml") {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
