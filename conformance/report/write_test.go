// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

func TestReportRenders(t *testing.T) {
	r := &Report{Started: time.Unix(0, 0).UTC(), Seconds: 3}
	r.Cases = []CaseResult{
		{ID: "SOCK-01", Level: spec.Must, Profile: "socket", State: Passed},
		{ID: "SOCK-02", Level: spec.Must, Profile: "socket", State: Failed, Reason: "a <b> & \x01\nmore", Output: "log"},
		{ID: "EP-14", Level: spec.Should, Profile: "endpoint", State: Skipped, Reason: "cannot"},
	}
	r.Summarize()
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
		{"socket", Count{Passed: 1, Failed: 1}, Count{}}, {"endpoint", Count{}, Count{Skipped: 1}},
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
