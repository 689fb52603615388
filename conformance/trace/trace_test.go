// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/runtime/cases"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick/all"
)

var update = flag.Bool("update", false, "write the generated files anew")

// catalog is what the table needs of the suite's cases.
func catalog(t *testing.T) []Case {
	t.Helper()
	var found []Case
	// The facade's catalog, without the facade, which needs this package.
	catalog, err := suite.NewCatalog(append(slices.Concat(all.Profiles(), plugins.Profiles()), cases.Profile())...)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range catalog.Cases() {
		found = append(found, Case{ID: c.ID, Source: c.Source})
	}
	return found
}

// TestTable compares the table with the catalog.
func TestTable(t *testing.T) {
	documents, pending := load(t)
	for _, problem := range Check(documents, catalog(t), pending) {
		t.Error(problem)
	}
}

// TestTraceFile compares TRACE.md with the table.
func TestTraceFile(t *testing.T) {
	documents, pending := load(t)
	if *update {
		pending = withoutCases(t, pending)
	}
	var b strings.Builder
	if err := Write(&b, documents, pending); err != nil {
		t.Fatal(err)
	}
	const file = "../TRACE.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if committed, err := os.ReadFile(file); err != nil || string(committed) != b.String() {
		t.Errorf("TRACE.md is stale (%v); make generate writes it", err)
	}
}

func load(t *testing.T) ([]Document, []string) {
	t.Helper()
	documents, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	pending, err := Pending()
	if err != nil {
		t.Fatal(err)
	}
	return documents, pending
}

// withoutCases takes the ids that have a case by now out of pending.txt.
func withoutCases(t *testing.T, pending []string) []string {
	t.Helper()
	data, err := os.ReadFile("pending.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]bool{}
	for _, c := range catalog(t) {
		cases[c.ID] = true
	}
	var kept strings.Builder
	for line := range strings.Lines(string(data)) {
		if !cases[strings.TrimSpace(line)] {
			kept.WriteString(line)
		}
	}
	if err := os.WriteFile("pending.txt", []byte(kept.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(pending, func(id string) bool { return cases[id] })
}

// TestReferences reads sources as the contract writes them.
func TestReferences(t *testing.T) {
	for source, want := range map[string]map[string][]string{
		"OPS, #1449, containernetworking/cni#1101": {},
		"CNI, #323":                                           {"CNI": {}},
		"CNI §2 GC":                                           {"CNI": {"§2 GC"}},
		"CNI §1 (fields unchanged), NPWG":                     {"CNI": {"§1"}, "NPWG": {}},
		"CNI §1, CONVENTIONS":                                 {"CNI": {"§1"}, "CONVENTIONS": {}},
		"CNI §2 STATUS, §3":                                   {"CNI": {"§2 STATUS", "§3"}},
		"NPWG §4.1.2.1.3.2, .4.2, .10.2":                      {"NPWG": {"§4.1.2.1.3.2", "§4.1.2.1.4.2", "§4.1.2.1.10.2"}},
		"NPWG §5.1.1, §5.3.2 to 5.3.5":                        {"NPWG": {"§5.1.1", "§5.3.2", "§5.3.5"}},
		"NADc CreateNetworkStatuses, #1314, ovn-kubernetes#4": {},
	} {
		if got := References(source); !reflect.DeepEqual(got, want) {
			t.Errorf("References(%q) = %v, want %v", source, got, want)
		}
	}
}

// judging has these subjects alone until the test has ended.
func judging(t *testing.T, subjects ...Subject) {
	t.Helper()
	before := Subjects
	t.Cleanup(func() { Subjects = before })
	Subjects = subjects
}

// TestCheckSeesWhatIsWrong breaks a table of one sentence in each way.
func TestCheckSeesWhatIsWrong(t *testing.T) {
	judging(t, Subjects[0])
	for want, broken := range map[string]struct {
		change  func(*Document)
		cases   []Case
		pending []string
	}{
		"its source CNI §9 is not in the table":  {cases: []Case{{"A-01", "CNI §9"}}},
		"no sentence of CNI §2 names it":         {cases: []Case{{"A-01", "CNI"}, {"A-02", "CNI §2"}}},
		"its source NPWG is not traced":          {cases: []Case{{"A-01", "NPWG"}}},
		"the catalog has no A-01":                {cases: []Case{}},
		"A-01 has a case now":                    {pending: []string{"A-01"}},
		"neither an id for thick nor the reason": {change: func(d *Document) { d.Sections[0].Sentences[0].IDs = nil }},
		"does not bind thick and has an answer":  {change: func(d *Document) { d.Sections[0].Sentences[0].Binds = []string{"ipam"} }},
		"has 2 normative words":                  {change: func(d *Document) { d.Sections[0].Words = 2 }},
		`role "somebody" is unknown`:             {change: func(d *Document) { d.Sections[0].Sentences[0].Binds = []string{"plugin", "somebody"} }},
		"binds nobody":                           {change: func(d *Document) { d.Sections[0].Sentences[0].Binds = nil }},
		"neither MUST nor SHOULD":                {change: func(d *Document) { d.Sections[0].Sentences[0].Level = "MAY" }},
		"stands there twice":                     {change: func(d *Document) { d.Sections = append(d.Sections, d.Sections[0]) }},
	} {
		d := Document{Name: "CNI", Sections: []Section{{Name: "§2 DEL", Words: 1, Sentences: []Sentence{
			{Says: "It succeeds.", Level: "MUST", Binds: []string{"plugin"}, IDs: map[string][]string{"thick": {"A-01"}}},
		}}}}
		cases := []Case{{"A-01", "CNI §2"}}
		if problems := Check([]Document{d}, cases, nil); len(problems) > 0 {
			t.Fatalf("the table before it was broken: %q", problems)
		}
		if broken.change != nil {
			broken.change(&d)
		}
		if broken.cases != nil {
			cases = broken.cases
		}
		problems := Check([]Document{d}, cases, broken.pending)
		if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("no problem has %q: %q", want, problems)
		}
	}
}

// TestALaterSubject adds a subject: every sentence that binds it asks for an
// answer, and its ids stand beside the thick plugin's.
func TestALaterSubject(t *testing.T) {
	judging(t, Subjects[0], Subject{Name: "runtime", Roles: []string{"runtime"}})
	d := Document{Name: "CNI", Sections: []Section{{Name: "§3 DEL", Heading: "Deleting", Words: 1, Sentences: []Sentence{
		{Says: "In reverse order.", Level: "MUST", Binds: []string{"runtime"}, IDs: map[string][]string{"thick": {"A-01"}}},
	}}}}
	cases := []Case{{"A-01", "CNI §3"}, {"RT-13", "CNI §3 DEL"}}
	problems := Check([]Document{d}, cases, nil)
	if !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "neither an id for runtime") }) {
		t.Errorf("the new subject's answer is not asked for: %q", problems)
	}
	d.Sections[0].Sentences[0].IDs["runtime"] = []string{"RT-13"}
	if problems := Check([]Document{d}, cases, nil); len(problems) > 0 {
		t.Errorf("with an answer for both: %q", problems)
	}
	var b strings.Builder
	if err := Write(&b, []Document{d}, nil); err != nil || !strings.Contains(b.String(), "| In reverse order. | MUST | runtime | A-01 | RT-13 |") {
		t.Errorf("%v, the table is\n%s", err, b.String())
	}
}
