// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
)

// gate is a project that has the second implementation with a fault, and wants to
// gate on the suite nevertheless.
type gate struct {
	t   *testing.T
	dir string
}

// newGate writes target files of the second implementation as it is, good.yaml,
// and with a fault that breaks several rows, faulty.yaml.
func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t, t.TempDir()}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.ReadFile(filepath.Join(root, "conformance/targets/second.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	good := regexp.MustCompile(`(?m)^root: .*$`).ReplaceAllString(string(target), "root: "+absolute)
	g.write("good.yaml", good)
	g.write("faulty.yaml", strings.Replace(good, `"{{.ConfigFile}}"]`, `"{{.ConfigFile}}", --fault, errors-are-200]`, 1))
	return g
}

func (g *gate) write(name, content string) {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// conformance executes the program in the project's directory.
func (g *gate) conformance(args ...string) (said string, status int) {
	g.t.Helper()
	program, err := filepath.Abs(filepath.Join(root, "bin/thicket-conformance"))
	if err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.CommandContext(g.t.Context(), program, args...)
	cmd.Dir = g.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		g.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// judge runs the rows of /cni, and writes a report into the directory's r.
func (g *gate) judge(more ...string) (said string, status int) {
	g.t.Helper()
	return g.conformance(append([]string{"run", "--only", "EP-0*", "--report", "r"}, more...)...)
}

// failing are the ids of the cases in r/report.json that are in a state.
func (g *gate) inState(state report.State) (ids []string) {
	g.t.Helper()
	r, err := report.ReadReport(filepath.Join(g.dir, "r/report.json"))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range r.Cases {
		if c.State == state {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// waive writes waivers.yaml, with a day for each id.
func (g *gate) waive(ids []string, day func(id string) string) {
	g.t.Helper()
	text := "apiVersion: conformance.thicket-cni.io/v1alpha1\nkind: Waivers\nwaivers:\n"
	for _, id := range ids {
		text += "- {id: " + id + ", reason: known, link: 'https://example.org/" + id + "', expires: " + day(id) + "}\n"
	}
	g.write("waivers.yaml", text)
}

// TestGateWithWaivers goes the way of a project with known failures: all of them
// waived, one not, one whose waiver is over, and one that passes by now.
func TestGateWithWaivers(t *testing.T) {
	g := newGate(t)
	if said, status := g.judge("--target", "faulty.yaml"); status != 1 {
		t.Fatalf("%d\n%s", status, said)
	}
	known := g.inState(report.Failed)
	if len(known) < 3 {
		t.Fatalf("only %v fail by the fault", known)
	}
	later := func(string) string { return time.Now().AddDate(0, 1, 0).Format(time.DateOnly) }
	g.waive(known, later)
	if said, status := g.judge("--target", "faulty.yaml", "--waivers", "waivers.yaml"); status != 0 || !slices.Equal(g.inState(report.Waived), known) {
		t.Errorf("with all waived: %d\n%s", status, said)
	}

	g.waive(known[1:], later)
	said, status := g.judge("--target", "faulty.yaml", "--waivers", "waivers.yaml")
	if status != 1 || !strings.HasSuffix(said, "\nThe run fails, by 1 MUST:\n  "+known[0]+"\n") {
		t.Errorf("without the waiver of %s: %d\n%s", known[0], status, said)
	}

	yesterday := time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly)
	g.waive(known, func(id string) string {
		if id == known[1] {
			return yesterday
		}
		return later(id)
	})
	said, status = g.judge("--target", "faulty.yaml", "--waivers", "waivers.yaml")
	want := "\nThe run fails, by 1 MUST:\n  " + known[1] + ": its waiver expired on " + yesterday + ": known (https://example.org/" + known[1] + ")\n"
	if status != 1 || !strings.HasSuffix(said, want) {
		t.Errorf("with the waiver of %s expired: %d; want %q in\n%s", known[1], status, want, said)
	}

	g.waive(known, later)
	said, status = g.judge("--target", "good.yaml", "--waivers", "waivers.yaml")
	if status != 0 || strings.Count(said, "the case passes now; remove it from waivers.yaml") != len(known) {
		t.Errorf("mended: %d\n%s", status, said)
	}

	g.waive([]string{"EP-99"}, later)
	if said, status := g.judge("--target", "good.yaml", "--waivers", "waivers.yaml"); status != 2 ||
		!strings.Contains(said, `waivers waivers.yaml: line 4: case "EP-99" is unknown; the nearest is EP-09`) {
		t.Errorf("unknown id: %d\n%s", status, said)
	}
}

// TestGateWithBaseline holds an implementation with a fault to its own report
// without: exactly the rows of the fault are named.
func TestGateWithBaseline(t *testing.T) {
	g := newGate(t)
	if said, status := g.judge("--target", "good.yaml"); status != 0 {
		t.Fatalf("%d\n%s", status, said)
	}
	if err := os.Rename(filepath.Join(g.dir, "r"), filepath.Join(g.dir, "before")); err != nil {
		t.Fatal(err)
	}
	said, status := g.judge("--target", "faulty.yaml", "--baseline", "before/report.json")
	broken := strings.Join(g.inState(report.Failed), ", ")
	if status != 1 || !strings.Contains(said, "worse than in the baseline: "+broken+"\n") {
		t.Errorf("%d; want %s named in\n%s", status, broken, said)
	}
	if said, status := g.conformance("compare", "before/report.json", "r/report.json", "--fail-on-regression"); status != 1 ||
		!strings.Contains(said, ": "+broken+"\n") {
		t.Errorf("compare: %d\n%s", status, said)
	}
	if said, status := g.conformance("compare", "r/report.json", "before/report.json", "--fail-on-regression"); status != 0 || !strings.Contains(said, "nothing is worse") {
		t.Errorf("compare with the better one: %d\n%s", status, said)
	}
	// The same failures again are nothing new.
	if err := os.Rename(filepath.Join(g.dir, "r"), filepath.Join(g.dir, "known")); err != nil {
		t.Fatal(err)
	}
	if said, status := g.judge("--target", "faulty.yaml", "--baseline", "known/report.json"); status != 0 {
		t.Errorf("with its own failures as baseline: %d\n%s", status, said)
	}
	if said, status := g.judge("--target", "good.yaml", "--baseline", "known/report.json"); status != 0 || !strings.Contains(said, "failed in the baseline, and passes now: "+broken) {
		t.Errorf("mended: %d\n%s", status, said)
	}
}

// TestGateBySettings has the flags in the environment and in a file, as a CI job
// has them, and a summary for its page.
func TestGateBySettings(t *testing.T) {
	g := newGate(t)
	g.write("settings.yaml", "target: faulty.yaml\nsummary: summary.md\nonly: [EP-01, EP-05]\norganization: Example\ncontact: ['@example/net']\n")
	t.Setenv("THICKET_CONFORMANCE_CONFIG_FILE", "settings.yaml")
	t.Setenv("THICKET_CONFORMANCE_REPORT", "r")
	said, status := g.conformance("run")
	summary, err := os.ReadFile(filepath.Join(g.dir, "summary.md"))
	if status != 1 || err != nil || !strings.Contains(string(summary), "#### failed MUST EP-05") || !strings.Contains(string(summary), "run --target faulty.yaml --only EP-05") {
		t.Errorf("%d, %v\n%s\n%s", status, err, said, summary)
	}
	page, err := os.ReadFile(filepath.Join(g.dir, "r/report.html"))
	if err != nil || strings.Count(string(page), "About this requirement") != 1 || !strings.Contains(string(page), "EP-05, a MUST of profile endpoint") {
		t.Errorf("%v: the page does not explain the row that failed", err)
	}
	published, err := os.ReadFile(filepath.Join(g.dir, "r/report.yaml"))
	if err != nil || !strings.Contains(string(published), "organization: Example\n") || !strings.Contains(string(published), "- EP-01\n") {
		t.Errorf("%v\n%s", err, published)
	}
	t.Setenv("THICKET_CONFORMANCE_WAIVER", "waivers.yaml")
	if said, status := g.conformance("run"); status != 2 || !strings.Contains(said, `THICKET_CONFORMANCE_WAIVER belongs to no flag; is "waivers" meant?`) {
		t.Errorf("%d\n%s", status, said)
	}
}

// TestSkip leaves cases out, and says so in the report.
func TestSkip(t *testing.T) {
	g := newGate(t)
	said, status := g.judge("--target", "faulty.yaml", "--skip", "EP-02,EP-05,EP-06", "--skip", "EP-07,EP-08,EP-09")
	if status != 0 || strings.Contains(said, "EP-02") {
		t.Errorf("%d\n%s", status, said)
	}
	r, err := report.ReadReport(filepath.Join(g.dir, "r/report.json"))
	if err != nil || r.Selection == nil || len(r.Selection.Skip) != 6 || !slices.Equal(r.Selection.Only, []string{"EP-0*"}) {
		t.Errorf("%v: %+v", err, r)
	}
	if said, status := g.judge("--target", "good.yaml", "--skip", "EP-X"); status != 2 || !strings.Contains(said, `case "EP-X" is unknown`) {
		t.Errorf("%d\n%s", status, said)
	}
}
