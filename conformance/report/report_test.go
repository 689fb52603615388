// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"

	"go.yaml.in/yaml/v3"
)

// sampleRequirements are some of several profiles, in an order of their own.
func sampleRequirements() []spec.Requirement {
	var all []spec.Requirement
	for _, p := range []struct{ profile, prefix string }{{"socket", "SOCK"}, {"shim", "SHIM"}, {"add", "ADD"}, {"resilience", "RES"}} {
		for n := range 14 {
			r := spec.Requirement{ID: fmt.Sprintf("%s-%02d", p.prefix, n+1), Profile: p.profile, Level: spec.Must, Source: "CNI",
				Title: fmt.Sprintf("Requirement %d of %s: what is <quoted> & shown", n+1, p.profile)}
			if r.ID == "SHIM-13" {
				r.Level = spec.Should
			}
			all = append(all, r)
		}
	}
	return all
}

// sampleReport has a result of each kind, among them a failed case with
// delegate calls and text that must not become markup.
func sampleReport(name string, failing bool) *Report {
	r := &Report{Started: time.Date(2026, 5, 4, 10, 30, 0, 0, time.UTC), Seconds: 61.5, Seed: 7}
	r.Suite.Name, r.Suite.Version = "thicket-conformance", spec.Version
	r.Target.Name, r.Target.Version, r.Target.Features = name, "v1.2.3", []spec.Feature{"readyz", "gc"}
	for i, c := range sampleRequirements() {
		k := CaseResult{ID: c.ID, Level: c.Level, Profile: c.Profile, Title: c.Title, Source: c.Source, State: Passed, Seconds: 0.1 + float64(i%7)/3}
		switch {
		case c.ID == "RES-01":
			k.State, k.Reason = Skipped, name+" does not support killing the daemon (it has no process of its own)"
		case c.ID == "RES-02":
			k.State, k.Reason = NotApplicable, name+" does not support living through a reboot"
		case failing && (c.ID == "ADD-05" || c.ID == "SHIM-13"):
			took := 12400 * time.Microsecond
			k.State, k.Failure, k.Output = Failed, FailedAssertion, "--- log of daemon 1\nlevel=error msg=\"delegate failed\"\n"
			k.Reason = "Expected\n    <[]string>: [\"net1\", \"default\"]\nto equal\n    <[]string>: [\"net2\", \"net1\", \"default\"]\n  <script>throw new Error(\"not escaped\")</script>"
			k.Calls = []CallResult{
				{Command: "ADD", Network: "default", Interface: "eth0", ContainerID: "c0ffee0123456789", PID: 41, Took: &took},
				{After: 14 * time.Millisecond, Command: "ADD", Network: "net1-a", Interface: "net1", ContainerID: "c0ffee0123456789", PID: 43},
			}
		case c.ID == "SOCK-04":
			k.Notes = []string{"50 restarts, 41 873 looks"}
		}
		r.Cases = append(r.Cases, k)
	}
	r.Summarize()
	return r
}

func TestReportFiles(t *testing.T) {
	dir := t.TempDir()
	r := sampleReport("sample", true)
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var p Published
	if err := yaml.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if p.Kind != "ConformanceReport" || p.Suite.Version != spec.Version || p.Implementation.Version != "v1.2.3" || len(p.Features) != 2 {
		t.Errorf("report.yaml:\n%s", text)
	}
	for _, profile := range p.Profiles {
		if profile.Name == "add" && (profile.Must.Result != "failure" || strings.Join(profile.Must.FailedCases, " ") != "ADD-05") {
			t.Errorf("profile add: %+v", profile.Must)
		}
		if profile.Name == "resilience" && (profile.Must.Result != "partial" || profile.Must.Skipped != 1 || strings.Join(profile.Must.NotApplicableCases, " ") != "RES-02") {
			t.Errorf("profile resilience: %+v", profile.Must)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "<script>throw") {
		t.Error("report.html takes a failure's text for markup")
	}
	read, err := ReadReport(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(r)
	if got, _ := json.Marshal(read); string(got) != string(want) {
		t.Error("report.json reads as another report")
	}
}

func TestReadReportNamesTheFile(t *testing.T) {
	for name, text := range map[string]string{
		"broken.json": "{", "other.json": `{"kind": "List"}`,
		"state.json": `{"suite":{"version":"1.0.0"},"target":{"name":"x"},"cases":[{"id":"ADD-01","profile":"add","state":"fine"}]}`,
		"gone.json":  "",
	} {
		path := filepath.Join(t.TempDir(), name)
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ReadReport(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCompare(t *testing.T) {
	a, b := sampleReport("alpha", false), sampleReport("beta", true)
	b.Cases = b.Cases[1:]
	b.Suite.Version = "0.0.9"
	c, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, row := range c.Rows[:c.Differing] {
		ids = append(ids, row.ID)
	}
	if got := strings.Join(ids, " "); got != "SHIM-13 ADD-05" || c.Rows[2].ID != "SOCK-01" || c.Rows[2].Results[1].State != Absent || len(c.Rows) != len(a.Cases) {
		t.Errorf("the differences are %s", got)
	}
	for _, want := range []string{"2 of ", "beta v1.2.3 was judged by suite 0.0.9", "SHIM-13", "compared by those that have it: 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if _, err := Compare(a); err == nil {
		t.Error("one report is compared with nothing")
	}
}
