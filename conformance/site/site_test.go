// SPDX-License-Identifier: Apache-2.0

package site

import (
	"encoding/json"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// thick are the profiles of the sample; the reports of the repository have others,
// which stand in a table of their own.
var thick = Family{"Thick plugins", []Profile{{"socket", "The socket"}, {"add", "ADD"}}}

// sample is a report of an implementation, judged on some day of November. States
// are those of SOCK-01, SOCK-02, ADD-01 and ADD-02, the last a SHOULD.
func sample(name, version string, day int, states ...report.State) *report.Report {
	r := &report.Report{Schema: report.SchemaVersion, Started: time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC), Seed: 1}
	r.Suite.Name, r.Suite.Version, r.Target.Name, r.Target.Version = "thicket-conformance", "0.3.0", name, name+" "+version
	for i, s := range states {
		c := report.CaseResult{ID: catalog[i].ID, Level: catalog[i].Level, Profile: catalog[i].Profile, Title: catalog[i].Title, Source: "CNI §2", State: s}
		if s != report.Passed {
			c.Reason, c.Output = "expected <b>1</b> & got 2\nin detail", "a log"
		}
		r.Cases = append(r.Cases, c)
	}
	r.Summarize()
	return r
}

var catalog = []spec.Requirement{
	{ID: "SOCK-01", Profile: "socket", Level: spec.Must, Title: "A socket", Source: "API"},
	{ID: "SOCK-02", Profile: "socket", Level: spec.Must, Title: "Its mode", Source: "API"},
	{ID: "ADD-01", Profile: "add", Level: spec.Must, Title: "ADD adds", Source: "CNI §2"},
	{ID: "ADD-02", Profile: "add", Level: spec.Should, Title: "ADD is quick", Source: "OPS"},
}

// publish publishes a report below a directory.
func publish(t *testing.T, dir, version string, r *report.Report) {
	t.Helper()
	if _, err := Publish(r, dir, "", version); err != nil {
		t.Fatal(err)
	}
}

// sampleSite is the site of two implementations, one of them with two versions.
func sampleSite(t *testing.T) *Site {
	t.Helper()
	dir := t.TempDir()
	publish(t, dir, "v1.0.0", sample("alpha", "v1.0.0", 1, report.Passed, report.Failed, report.Failed, report.Passed))
	publish(t, dir, "v1.1.0", sample("alpha", "v1.1.0", 9, report.Passed, report.Passed, report.Failed, report.Failed))
	publish(t, dir, "v2.0.0", sample("beta", "v2.0.0", 5, report.Passed, report.Passed, report.Passed, report.Skipped))
	all, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &Site{Families: []Family{thick}, Requirements: catalog, Implementations: all, Explain: func(id string) *Explanation {
		if id != "ADD-01" {
			return nil
		}
		return &Explanation{Sections: []Section{{"CNI §2", "https://example.com/spec#add", []string{"ADD adds."}}, {"OPS", "", nil}}, Steps: []string{"an ADD"}}
	}}
}

func TestMatrix(t *testing.T) {
	m := sampleSite(t).matrix()
	if m.Implementations != 2 || m.Reports != 3 || len(m.Tables) != 1 {
		t.Fatalf("%+v", m)
	}
	var rows []string
	for _, r := range m.Tables[0].Rows {
		text := r.Name + " " + r.Version.Name
		for _, c := range append([]cell{r.All}, r.Cells...) {
			text += " | " + c.Count + " " + c.Words
		}
		rows = append(rows, text)
	}
	want := []string{
		"alpha v1.1.0 | 2/3 1 fail | 2/2 pass | 0/1 1 fail",
		"alpha v1.0.0 | 1/3 2 fail | 1/2 1 fail | 0/1 1 fail",
		"beta v2.0.0 | 3/3 pass | 2/2 pass | 1/1 pass",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
}

// TestEditions: where each version of CNI is judged, those are the columns.
func TestEditions(t *testing.T) {
	dir := t.TempDir()
	r := sample("bridge", "v1", 1, report.Passed, report.Failed)
	r.Cases[0].Editions = []report.EditionResult{{Edition: "1.0.0", State: report.Passed}, {Edition: "1.1.0", State: report.Passed}}
	r.Cases[1].Editions = []report.EditionResult{{Edition: "1.0.0", State: report.Passed}, {Edition: "1.1.0", State: report.Failed}}
	publish(t, dir, "v1", r)
	all, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Site{Families: []Family{thick}, Requirements: catalog, Implementations: all}
	got := s.matrix().Tables[0]
	if len(got.Columns) != 2 || got.Columns[1].Name != "1.1.0" || len(got.Rows) != 1 || got.Rows[0].Profile != "socket" ||
		got.Rows[0].Cells[0].Count != "2/2" || got.Rows[0].Cells[1].Words != "1 fail" {
		t.Errorf("%+v", got)
	}
	if b := badges(all[0])["bridge"]; b.Message != "CNI 1.0.0" || b.Result != report.ResultPartial {
		t.Errorf("badge %+v", b)
	}
}

func TestHistory(t *testing.T) {
	s := sampleSite(t)
	h := s.implementation(s.Implementations[0]).History
	if len(h) != 2 || !h[1].First || !slices.Equal(h[0].Mended, []string{"SOCK-02"}) || !slices.Equal(h[0].Broken, []string{"ADD-02"}) || h[0].Came != nil {
		t.Errorf("%+v", h)
	}
}

func TestRequirements(t *testing.T) {
	rows := sampleSite(t).requirements().Rows
	if len(rows) != 4 || !slices.Equal(rows[2].Failing, []string{"alpha"}) || !slices.Equal(rows[2].Passing, []string{"beta"}) || rows[2].Outcomes[0].State != report.Failed {
		t.Errorf("%+v", rows)
	}
}

// TestPublish: what only helps to mend a failure is left out, and reports that say
// too little, or something else than their place, are refused.
func TestPublish(t *testing.T) {
	dir := t.TempDir()
	long := sample("alpha", "v1", 1, report.Failed)
	long.Cases[0].Reason = strings.Repeat("é is wrong\n", 1000)
	publish(t, dir, "v1", long)
	r, err := report.ReadReport(filepath.Join(dir, "alpha", "v1", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if c := r.Cases[0]; c.Output != "" || len(c.Reason) > 1600 || !strings.HasSuffix(c.Reason, "wrong\n…") {
		t.Errorf("published: %+v", c)
	}
	mute := sample("mute", "", 1, report.Passed)
	mute.Target.Version = ""
	publish(t, dir, "v7", mute)
	if r, err := report.ReadReport(filepath.Join(dir, "mute", "v7", "report.json")); err != nil || r.Version() != "v7" {
		t.Errorf("of an implementation that tells no version: %v, %v", r, err)
	}
	part := sample("alpha", "v1", 1, report.Passed)
	part.Selection = &report.Selection{Only: []string{"SOCK-01"}}
	ended := sample("alpha", "v1", 1, report.Skipped)
	ended.Cases[0].Failure = report.Interrupted
	for want, try := range map[string]func() (string, error){
		"a part of the catalog": func() (string, error) { return Publish(part, dir, "", "v1") },
		"it came to SOCK-01":    func() (string, error) { return Publish(ended, dir, "", "v1") },
		"and not of v2":         func() (string, error) { return Publish(sample("alpha", "v1", 1, report.Passed), dir, "", "v2") },
		"(--version)":           func() (string, error) { return Publish(sample("alpha", "v1", 1, report.Passed), dir, "", "") },
		"(--name)":              func() (string, error) { return Publish(sample("alpha", "v1", 1, report.Passed), dir, "../up", "v1") },
	} {
		if _, err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestLoadNamesWhatIsWrong: a report that is not where it is looked for, or is not
// what its place says, would be missing from the pages.
func TestLoadNamesWhatIsWrong(t *testing.T) {
	write := func(path string, content []byte) func(dir string) {
		return func(dir string) {
			path := filepath.Join(dir, path)
			_ = os.MkdirAll(filepath.Dir(path), 0o750)
			_ = os.WriteFile(path, content, 0o600)
		}
	}
	good, err := sample("alpha", "v1", 1, report.Passed).JSON()
	if err != nil {
		t.Fatal(err)
	}
	for want, prepare := range map[string]func(dir string){
		"report.json":     write("README.md", nil),
		"has no version":  write("alpha/report.json", good),
		"no such file":    write("alpha/v1/v1.json", good),
		"is called v2":    write("alpha/v2/report.json", good),
		"directory's":     write("alpha/v 1/report.json", good),
		"are the most":    write("alpha/v1/report.json", make([]byte, maxReport+1)),
		"suite version,":  write("alpha/v1/report.json", []byte("{}")),
		"invalid charact": write("alpha/v1/report.json", []byte("<html>")),
	} {
		dir := t.TempDir()
		prepare(dir)
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestEndpoint: the answer is shields.io's form, and the picture has the words for
// who does not see it.
func TestEndpoint(t *testing.T) {
	s := sampleSite(t)
	dir := t.TempDir()
	if err := s.Write(dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "badges", "alpha.json"))
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatal(err)
	}
	if answer["schemaVersion"] != 1.0 || answer["label"] != "conformance" || answer["message"] != "2/3 MUST, 1 fail" || answer["color"] != "red" {
		t.Errorf("%v", answer)
	}
	picture, err := os.ReadFile(filepath.Join(dir, "badges", "beta", "add.svg"))
	if err != nil || !strings.Contains(string(picture), `aria-label="conformance: add: 1/1 MUST"`) {
		t.Errorf("%v: %s", err, picture)
	}
}

// TestLinks: every link of the site of the repository's reports leads somewhere,
// nothing is loaded from elsewhere, and every table has headers.
func TestLinks(t *testing.T) {
	for name, s := range map[string]*Site{"sample": sampleSite(t), "reports": repositorySite(t)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := s.Write(dir); err != nil {
				t.Fatal(err)
			}
			pages := map[string]*page{}
			for _, path := range files(t, dir) {
				if filepath.Ext(path) == ".html" {
					pages[path] = parse(t, path)
				}
			}
			for path, p := range pages {
				p.check(t, path, pages)
			}
		})
	}
}

// repositorySite is the site of what conformance/reports has.
func repositorySite(t *testing.T) *Site {
	t.Helper()
	all, err := Load(filepath.Join("..", "reports"))
	if err != nil {
		t.Fatal(err)
	}
	return &Site{Families: []Family{thick}, Implementations: all}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// page is what matters of a page's elements.
type page struct {
	ids, links, loaded []string
	tables, headers    int
}

func parse(t *testing.T, path string) *page {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	root, err := html.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	for n := range root.Descendants() {
		switch n.Data {
		case "table":
			p.tables++
		case "thead":
			p.headers++
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id":
				p.ids = append(p.ids, a.Val)
			case a.Key == "href" && n.Data == "a":
				p.links = append(p.links, a.Val)
			case a.Key == "src" || a.Key == "href":
				p.loaded = append(p.loaded, a.Val)
			}
		}
	}
	return p
}

func (p *page) check(t *testing.T, path string, pages map[string]*page) {
	t.Helper()
	if len(p.loaded) > 0 {
		t.Errorf("%s loads %q", path, p.loaded)
	}
	if p.tables != p.headers {
		t.Errorf("%s has %d tables and %d heads of tables", path, p.tables, p.headers)
	}
	for _, link := range p.links {
		to, err := url.Parse(link)
		if err != nil || to.IsAbs() {
			continue
		}
		target := path
		if to.Path != "" {
			target = filepath.Join(filepath.Dir(path), filepath.FromSlash(to.Path))
		}
		if _, err := os.Stat(target); err != nil {
			t.Errorf("%s: the link %s leads nowhere", path, link)
		}
		if there := pages[target]; to.Fragment != "" && (there == nil || !slices.Contains(there.ids, to.Fragment)) {
			t.Errorf("%s: the link %s leads to no part of its page", path, link)
		}
	}
}
