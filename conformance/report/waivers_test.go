// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// today is the day of the runs of these tests.
var today = time.Date(2026, 11, 26, 23, 59, 0, 0, time.UTC)

const waiversHead = "apiVersion: conformance.thicket-cni.io/v1alpha1\nkind: Waivers\nwaivers:\n"

func waivers(t *testing.T, entries ...string) *Waivers {
	t.Helper()
	w, err := ParseWaivers([]byte(waiversHead+strings.Join(entries, "\n")), "waivers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWaiversFile(t *testing.T) {
	const good = "- {id: A-01, reason: r, expires: 2027-01-31}\n"
	for text, want := range map[string]string{
		"":                             "want apiVersion",
		waiversHead + "- {}\n":         "line 4: id is missing",
		waiversHead + "- {id: A-01}\n": "line 4: A-01: reason is missing",
		waiversHead + good + "- id: A-02\n  reason: r\n":                                    "line 5: A-02: expires is missing",
		waiversHead + good + "- {id: A-02, reason: r, expires: soon}":                       `line 5: A-02: expires: "soon" is not a day`,
		waiversHead + good + good:                                                           "line 5: A-01 is waived twice",
		waiversHead + good + "- {id: A-01, version: 1.0.0, reason: r, expires: 2027-01-31}": "line 5: A-01 is waived twice",
		waiversHead + good + "- {id: A-02, reason: r, expires: 2027-01-31, link: issue 7}":  `A-02: link: "issue 7" is not an address`,
		waiversHead + good + "- {id: A-02, reson: r, expires: 2027-01-31}":                  `line 5: the key "reson" is unknown; is "reason" meant?`,
	} {
		_, err := ParseWaivers([]byte(text), "waivers.yaml")
		if err == nil || !strings.Contains(err.Error(), "waivers waivers.yaml: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want it to have %s", text, err, want)
		}
	}
	if w := waivers(t, good, "- {id: A-02, version: 1.0.0, reason: r, expires: 2027-01-31}", "- {id: A-02, version: 0.4.0, reason: r, expires: 2027-01-31}"); len(w.Waivers) != 3 {
		t.Errorf("%+v", w)
	}
}

// A waiver holds to the end of its last day.
func TestExpired(t *testing.T) {
	for expires, want := range map[string]bool{"2026-11-25": true, "2026-11-26": false, "2026-11-27": false} {
		w := Waiver{Expires: expires}
		if got := w.Expired(today); got != want {
			t.Errorf("%s is expired: %v", expires, got)
		}
	}
}

// waivedReport is a run with each kind of waiver.
func waivedReport(t *testing.T) *Report {
	t.Helper()
	r := reportOf("x", "1", map[string]State{"A-01": Failed, "A-02": Failed, "A-03": Passed, "A-04": Skipped, "A-05": Failed, "A-06": Failed, "A-07": Failed, "A-08": Passed})
	r.Started = today
	for i := range r.Cases {
		if r.Cases[i].State == Failed {
			r.Cases[i].Reason = "broken " + r.Cases[i].ID
		}
	}
	r.Cases[5].Editions = []EditionResult{{Edition: "0.4.0", State: Failed}, {Edition: "1.0.0", State: Passed}}
	r.Cases[6].Editions = []EditionResult{{Edition: "0.4.0", State: Failed}, {Edition: "1.0.0", State: Failed}}
	w := waivers(t,
		"- {id: A-01, reason: known, link: 'https://example.org/1', expires: 2027-01-31}",
		"- {id: A-02, reason: old, expires: 2026-11-25}",
		"- {id: A-03, reason: mended, expires: 2027-01-31}",
		"- {id: A-04, reason: cannot, expires: 2027-01-31}",
		"- {id: A-06, version: 0.4.0, reason: early, expires: 2027-01-31}",
		"- {id: A-06, version: 1.0.0, reason: late, expires: 2027-01-31}",
		"- {id: A-07, version: 0.4.0, reason: half, expires: 2027-01-31}",
		"- {id: A-99, reason: gone, expires: 2027-01-31}")
	for i := range r.Cases {
		w.Apply(&r.Cases[i], today)
	}
	r.Waivers = w.Outcomes(r, today)
	r.Summarize()
	return r
}

func TestWaive(t *testing.T) {
	r := waivedReport(t)
	var gating, states []string
	for _, c := range r.Gating() {
		gating = append(gating, c.ID)
	}
	for _, c := range r.Cases {
		states = append(states, string(c.State))
	}
	if got, want := strings.Join(gating, " "), "A-02 A-05 A-07"; got != want {
		t.Errorf("%s gate, want %s", got, want)
	}
	if got, want := strings.Join(states, " "), "waived failed passed skipped failed waived failed passed"; got != want {
		t.Errorf("states are %s, want %s", got, want)
	}
	var outcomes []string
	for _, w := range r.Waivers {
		outcomes = append(outcomes, w.ID+w.Version+" "+string(w.Outcome))
	}
	want := "A-01 used, A-02 expired, A-03 unneeded, A-04 not-judged, A-060.4.0 used, A-061.0.0 unneeded, A-070.4.0 used, A-99 not-judged"
	if got := strings.Join(outcomes, ", "); got != want {
		t.Errorf("outcomes are %s, want %s", got, want)
	}
	if n := r.Total(); n != (Count{Passed: 2, Failed: 3, Waived: 2, Skipped: 1}) || n.String() != "2 passed, 3 failed, 2 waived, 1 skipped, 0 not applicable" {
		t.Errorf("%+v", n)
	}
}

// A waived failure is a state of its own in every form, and never passed.
func TestWaivedInEveryForm(t *testing.T) {
	r := waivedReport(t)
	dir := t.TempDir()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"report.json": {`"state": "waived"`, `"outcome": "expired"`},
		"report.yaml": {"result: failure", "waivedCases:", "- A-01", "outcome: unneeded", "expires: \"2026-11-25\""},
		"junit.xml": {
			`<skipped message="waived until 2027-01-31: known (https://example.org/1): broken A-01">`,
			`<failure message="its waiver expired on 2026-11-25: old: broken A-02" type="MUST">`,
			`failures="3"`,
		},
		"report.html": {`data-state="waived"`, "its waiver expired on 2026-11-25: old", "passes now: remove it", `<option>waived</option>`, `<span class="waived">2 waived</span>`},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%s has no %s:\n%s", name, want, text)
			}
		}
	}
	for _, e := range r.Editions {
		if e.Edition == "0.4.0" && e.Conforms() {
			t.Errorf("what is waived at 0.4.0 conforms: %+v", e)
		}
	}
	if got := (Count{Passed: 1, Waived: 1}).Result(); got != ResultWaived {
		t.Errorf("a waived failure makes the result %s", got)
	}
}

// TestBaseline goes through what can have become of a case.
func TestBaseline(t *testing.T) {
	for _, c := range []struct {
		before, now State
		worse       bool
	}{
		{Passed, Passed, false}, {Passed, Failed, true}, {Passed, Waived, false}, {Passed, Skipped, true}, {Passed, NotApplicable, true},
		{Failed, Failed, false}, {Failed, Passed, false}, {Failed, Skipped, false}, {Waived, Failed, true}, {Skipped, Failed, true},
		{Skipped, Skipped, false}, {NotApplicable, Failed, true}, {Absent, Failed, true}, {Absent, Passed, false}, {Absent, Skipped, false},
	} {
		before := reportOf("x", "1", map[string]State{"A-01": c.before})
		if c.before == Absent {
			before.Cases = nil
		}
		now := reportOf("x", "2", map[string]State{"A-01": c.now})
		now.Hold(before)
		k := &now.Cases[0]
		if k.Worse != c.worse || k.Gates() != c.worse || k.Before != c.before {
			t.Errorf("%s, then %s: worse %v, gates %v, before %s", c.before, c.now, k.Worse, k.Gates(), k.Before)
		}
		if (k.Excuse() != "") != (c.worse || c.now == Failed) {
			t.Errorf("%s, then %s: %q", c.before, c.now, k.Excuse())
		}
		k.Level = spec.Should
		if k.Gates() {
			t.Errorf("%s, then %s: a SHOULD gates", c.before, c.now)
		}
	}
}

// A failure that spreads to another version is worse.
func TestBaselineByEdition(t *testing.T) {
	editions := func(states ...State) *Report {
		r := reportOf("x", "1", map[string]State{"A-01": Failed})
		for i, s := range states {
			r.Cases[0].Editions = append(r.Cases[0].Editions, EditionResult{Edition: fmt.Sprintf("1.%d.0", i), State: s})
		}
		return r
	}
	now := editions(Failed, Failed)
	now.Hold(editions(Failed, Passed))
	if !now.Cases[0].Worse || now.Cases[0].Excuse() != "it got worse than in the baseline at 1.0.0, 1.1.0" {
		t.Errorf("%+v", now.Cases[0])
	}
	now = editions(Failed, Passed)
	now.Hold(editions(Failed, Failed))
	if now.Cases[0].Worse {
		t.Errorf("%+v", now.Cases[0])
	}
}

// An interrupted run says nothing about what it did not come to.
func TestBaselineOfInterrupted(t *testing.T) {
	now := reportOf("x", "2", map[string]State{"A-01": Skipped})
	now.Cases[0].Failure = Interrupted
	now.Hold(reportOf("x", "1", map[string]State{"A-01": Passed}))
	if now.Cases[0].Worse || len(now.Gating()) != 0 {
		t.Errorf("%+v", now.Cases[0])
	}
}

// A report of an older form has no state waived and no publisher, and reads.
func TestReadOlderForm(t *testing.T) {
	r, err := read(t, `{"schemaVersion":2,`+head+`"cases":[{"id":"A-01","level":"MUST","profile":"p","state":"failed"}]}`)
	if err != nil || len(r.Gating()) != 1 || r.Version() != "1" {
		t.Errorf("%+v, %v", r, err)
	}
	r.Implementation = Implementation{Publisher{Organization: "o", URL: "https://example.org"}, "2"}
	data, err := json.Marshal(r)
	if err != nil || !bytes.Contains(data, []byte(`"implementation":{"organization":"o","url":"https://example.org","version":"2"}`)) || r.Version() != "2" {
		t.Errorf("%v %s", err, data)
	}
	if published, err := r.yaml(); err != nil || !strings.Contains(string(published), "  name: x\n    version: \"2\"\n    organization: o\n") {
		t.Errorf("%v\n%s", err, published)
	}
}
