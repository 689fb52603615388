// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// read writes a report.json and reads it back.
func read(t *testing.T, content string) (*Report, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return ReadReport(path)
}

const head = `"suite":{"name":"thicket-conformance","version":"9.1.0"},"target":{"name":"x","version":"1"},`

// A report of another suite may have profiles, states of detail and keys that
// are unknown here; a newer schema is refused for what it is.
func TestReadForeignReports(t *testing.T) {
	r, err := read(t, `{"schemaVersion":1,"colour":"red",`+head+`"cases":[{"id":"IPAM-01","level":"MUST","profile":"ipam","state":"failed","failure":"melted","reason":"r"}]}`)
	if err != nil || len(r.Summary) != 1 || r.Summary[0].Profile != "ipam" || r.Summary[0].Must.Failed != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	c, err := Compare(r, r)
	if err != nil {
		t.Fatal(err)
	}
	var text, page bytes.Buffer
	if err := c.WriteText(&text); err != nil || c.WriteHTML(&page) != nil || !strings.Contains(page.String(), "IPAM-01") {
		t.Errorf("%v %s", err, text.String())
	}
	for name, content := range map[string]string{
		"the same form":    `{"schemaVersion":99,` + head + `"cases":[{"id":"IPAM-01","profile":"ipam","state":"melted"}]}`,
		"another form":     `{"schemaVersion":99,` + head + `"cases":{"IPAM-01":"melted"}}`,
		"without any case": `{"schemaVersion":99,` + head + `"results":[]}`,
	} {
		_, err := read(t, content)
		if err == nil || !strings.Contains(err.Error(), "schema version 99") || !strings.Contains(err.Error(), "use suite 9.1.0 or a later one") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reportOf has these cases, all MUST, by their states.
func reportOf(name, version string, states map[string]State) *Report {
	r := &Report{}
	r.Suite.Version, r.Target.Name, r.Target.Version = "1", name, version
	for id, state := range states {
		r.Cases = append(r.Cases, CaseResult{ID: id, Level: spec.Must, Profile: "p", Title: id, State: state})
	}
	slices.SortFunc(r.Cases, func(a, b CaseResult) int { return strings.Compare(a.ID, b.ID) })
	return r
}

func TestCompareNamesColumnsApart(t *testing.T) {
	for want, reports := range map[string][]*Report{
		"x 1, y 1":           {reportOf("x", "1", nil), reportOf("y", "1", nil)},
		"x v1, x v2, y v1":   {reportOf("x", "v1", nil), reportOf("x", "v2", nil), reportOf("y", "v1", nil)},
		"x v1 (1), x v1 (2)": {reportOf("x", "v1", nil), reportOf("x", "v1", nil)},
		"x (1), x (2), x v3": {reportOf("x", "", nil), reportOf("x", "", nil), reportOf("x", "v3", nil)},
	} {
		c, err := Compare(reports...)
		if err != nil || strings.Join(c.Names, ", ") != want {
			t.Errorf("%v, %v; want %s", c.Names, err, want)
		}
	}
	c, err := Compare(reportOf("x", "v1", map[string]State{"A-01": Passed}), reportOf("x", "v2", map[string]State{"A-01": Failed}))
	if err != nil {
		t.Fatal(err)
	}
	var text, page bytes.Buffer
	if err := c.WriteText(&text); err != nil || !strings.Contains(text.String(), "x v1") || !strings.Contains(text.String(), "x v2") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := c.WriteHTML(&page); err != nil || !strings.Contains(page.String(), `<th scope="col">x v1<th scope="col">x v2`) {
		t.Errorf("%v: the page does not tell the columns apart", err)
	}
}

func TestCompareWithoutCase(t *testing.T) {
	a := reportOf("a", "", map[string]State{"A-01": Passed, "A-02": Failed})
	b := reportOf("b", "", map[string]State{"A-01": Passed, "A-03": Passed})
	d := reportOf("d", "", map[string]State{"A-02": Passed, "A-03": Passed})
	c, err := Compare(a, b, d)
	if err != nil {
		t.Fatal(err)
	}
	if c.Differing != 1 || c.Rows[0].ID != "A-02" || c.Partial != 3 || c.Rows[1].Differs {
		t.Errorf("%d differ, %d are partial, first %s", c.Differing, c.Partial, c.Rows[0].ID)
	}
	var text bytes.Buffer
	if err := c.WriteText(&text); err != nil || !strings.Contains(text.String(), "1 of 3 cases differ\nnot in every report, and compared by those that have it: 3") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// What fails the run fails in JUnit, and nothing else.
func TestJUnitGatesAsTheExitStatus(t *testing.T) {
	r := reportOf("x", "1", map[string]State{"A-01": Passed, "A-02": Failed, "A-03": Failed, "A-04": Skipped, "A-05": NotApplicable, "A-06": Skipped})
	r.Cases[1].Reason = "broken"
	r.Cases[2].Level, r.Cases[2].Reason, r.Cases[2].Output = spec.Should, "not nice\nat all", "log"
	r.Cases[3].Reason = "cannot"
	r.Cases[5].Failure, r.Cases[5].Reason = Interrupted, "the run was cancelled"
	data, err := r.junit()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Skipped int `xml:"skipped,attr"`
			Cases   []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct {
					Message string `xml:"message,attr"`
				} `xml:"skipped"`
				SystemOut string `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	if last := doc.Suites[0].Cases[5]; last.Error == nil || last.Skipped != nil || doc.Errors != 1 {
		t.Errorf("a case that was interrupted: %+v, %d errors", last, doc.Errors)
	}
	if doc.Failures != 1 || doc.Suites[0].Skipped != 3 {
		t.Errorf("%d failures, %d skipped\n%s", doc.Failures, doc.Suites[0].Skipped, data)
	}
	should := doc.Suites[0].Cases[2]
	if should.Failure != nil || should.Skipped == nil || should.Skipped.Message != "a SHOULD that is not kept: not nice" || !strings.Contains(should.SystemOut, "at all\nlog") {
		t.Errorf("%+v\n%s", should, data)
	}
}
