// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

func waiversOf(t *testing.T, entries string) *report.Waivers {
	t.Helper()
	w, err := report.ParseWaivers([]byte("apiVersion: conformance.thicket-cni.io/v1alpha1\nkind: Waivers\nwaivers:\n"+entries), "w.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A waiver that fits no case is refused with its line.
func TestWaiversFitTheCatalog(t *testing.T) {
	byVersion := tiny("TINY-02", pass)
	byVersion.Editions = func(Subject) ([]string, string) { return []string{"1.0.0"}, "" }
	o := Options{Catalog: catalogOf(t, tiny("TINY-01", pass), byVersion)}
	for entry, want := range map[string]string{
		"{id: TINY-01, profile: tiny": "", "{id: TINY-02, version: 1.0.0": "",
		"{id: TINY-03":                 `line 4: case "TINY-03" is unknown; the nearest is TINY-0`,
		"{id: TINY-*":                  `line 4: case "TINY-*" is unknown`,
		"{id: TINY-01, profile: huge":  `line 4: TINY-01 is of profile tiny, and not of "huge"`,
		"{id: TINY-01, version: 1.0.0": "line 4: TINY-01 is not judged by versions",
	} {
		o.Waivers = waiversOf(t, "- "+entry+", reason: r, expires: 2999-01-01}\n")
		err := o.checkWaivers()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}

// TestVerdicts judges cases by waivers and a baseline, one of them by versions.
func TestVerdicts(t *testing.T) {
	fail := func(context.Context, *T) { Expect("apple").To(Equal("pear")) }
	byVersion := tiny("TINY-04", func(_ context.Context, t *T) { Expect(t.Edition).To(Equal("1.0.0")) })
	byVersion.Editions = func(Subject) ([]string, string) { return []string{"0.4.0", "1.0.0"}, "" }
	o := childOptions(t, tiny("TINY-01", fail), tiny("TINY-02", fail), tiny("TINY-03", fail), byVersion, tiny("TINY-05", pass))
	o.Waivers = waiversOf(t, `- {id: TINY-01, reason: r, expires: 2999-01-01}
- {id: TINY-02, reason: r, expires: 2001-01-01}
- {id: TINY-04, version: 0.4.0, reason: r, expires: 2999-01-01}
- {id: TINY-05, reason: r, expires: 2999-01-01}
`)
	o.Baseline = &report.Report{Cases: []report.CaseResult{{ID: "TINY-03", State: report.Failed}, {ID: "TINY-05", State: report.Failed}}}
	r, err := Judge(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Cases {
		got = append(got, c.ID+" "+string(c.State)+" "+c.Excuse())
	}
	want := `TINY-01 waived waived until 2999-01-01: r
TINY-02 failed its waiver expired on 2001-01-01: r; the baseline does not have it
TINY-03 failed it failed in the baseline, too
TINY-04 waived waived at 0.4.0 until 2999-01-01: r
TINY-05 passed `
	if strings.Join(got, "\n") != want {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if gating := r.Gating(); len(gating) != 1 || gating[0].ID != "TINY-02" {
		t.Errorf("%+v gate", gating)
	}
	if r.Waivers[3].Outcome != report.WaiverUnneeded || r.Baseline == nil || len(r.Mended()) != 1 {
		t.Errorf("%+v, baseline %+v", r.Waivers, r.Baseline)
	}
}

func TestEmbeddingWaived(t *testing.T) {
	embedding(t)
	fail := func(context.Context, *T) { Expect("apple").To(Equal("pear")) }
	should := tiny("TINY-03", fail)
	should.Level = spec.Should
	Run(t, Options{
		Settings: Settings{Subject: idle{name: "good"}}, Catalog: catalogOf(t, tiny("TINY-01", fail), tiny("TINY-02", fail), should),
		Waivers: waiversOf(t, "- {id: TINY-01, reason: r, expires: 2999-01-01}\n- {id: TINY-02, reason: r, expires: 2001-01-01}\n"),
	}, "")
}

// In somebody's go test a waived case is skipped with the reason, and one whose
// waiver has expired fails with the day.
func TestRunTellsWaivers(t *testing.T) {
	output, _ := gotest(t, "-test.run=^TestEmbeddingWaived$")
	for test, want := range map[string]string{"TINY-01": "SKIP", "TINY-02": "FAIL", "TINY-03": "PASS"} {
		if got, _ := outcome(t, output, "TestEmbeddingWaived/"+test); got != want {
			t.Errorf("%s: %s, want %s\n%s", test, got, want, output)
		}
	}
	for _, want := range []string{"waived until 2999-01-01: r", "its waiver expired on 2001-01-01: r", "0 passed, 2 failed, 1 waived, 0 skipped"} {
		if !strings.Contains(output, want) {
			t.Errorf("%q is not in\n%s", want, output)
		}
	}
}
