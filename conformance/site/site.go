// SPDX-License-Identifier: Apache-2.0

// Package site makes static pages of published reports: a matrix of
// implementations, a page for each of them and for each requirement, the reports
// themselves, and badges. The pages need no server, no script and nothing from
// elsewhere.
package site

import (
	"bytes"
	"fmt"
	"html/template"
	"os"
	"path/filepath"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// Profile is a group of requirements, as the catalog names and heads it.
type Profile struct{ Name, Title string }

// Family is the profiles of one kind of target. Its implementations share a
// table of the matrix.
type Family struct {
	// Title heads the table, such as "Thick plugins".
	Title    string
	Profiles []Profile
}

// Site is what the pages are made of.
type Site struct {
	Families []Family
	// Requirements are the catalog's, in its order. What only reports know comes
	// behind them.
	Requirements []spec.Requirement
	// Explain says more of a requirement by its id, nil where there is nothing more.
	// Without the function no page does.
	Explain func(id string) *Explanation
	// Implementations are Load's.
	Implementations []*Implementation
}

// Explanation is what the suite knows of a requirement beside its line of the
// catalog.
type Explanation struct {
	Sections []Section
	// Reports are addresses of users' reports.
	Reports []string
	// About says how it is asked, Steps are the parts of that, Says are the words by
	// which a failure begins.
	About       string
	Steps, Says []string
}

// Section is a part of a standard, with what it asks in the suite's words.
type Section struct {
	Name, URL string
	Sentences []string
}

// Write makes the pages in a directory, which it makes. Files that an earlier
// call left there and this one does not write stay.
func (s *Site) Write(dir string) error {
	w := &writer{dir: dir}
	w.page("index.html", "index.html.tmpl", s.matrix())
	all := s.requirements()
	w.page("requirements.html", "requirements.html.tmpl", all)
	for _, row := range all.Rows {
		if s.Explain != nil {
			row.Explanation = s.Explain(row.ID)
		}
		w.page("requirements/"+row.ID+".html", "requirement.html.tmpl", row)
	}
	for _, i := range s.Implementations {
		w.page("implementations/"+i.Name+".html", "implementation.html.tmpl", s.implementation(i))
		for _, v := range i.Versions {
			w.report("reports/"+i.Name+"/"+v.Name, v.Report)
		}
		for name, badge := range badges(i) {
			w.badge("badges/"+name, badge)
		}
	}
	if w.err != nil {
		return fmt.Errorf("site: %w", w.err)
	}
	return nil
}

// writer writes files below a directory, until one cannot be written.
type writer struct {
	dir string
	err error
}

func (w *writer) file(name string, content []byte, err error) {
	if w.err != nil {
		return
	}
	if w.err = err; err != nil {
		w.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if w.err = os.MkdirAll(filepath.Dir(path), 0o755); w.err == nil {
		w.err = os.WriteFile(path, content, 0o644)
	}
}

// view is what every page's template gets.
type view struct {
	// Root leads from the page to the site's first page: "" or "../".
	Root string
	Data any
}

func (w *writer) page(name, of string, data any) {
	root := ""
	if filepath.Dir(name) != "." {
		root = "../"
	}
	var b bytes.Buffer
	t, err := pages(of)
	if err == nil {
		err = t.ExecuteTemplate(&b, of, view{root, data})
	}
	w.file(name, b.Bytes(), err)
}

// report writes a report as a page and as the file that it was made of.
func (w *writer) report(name string, r *report.Report) {
	var page bytes.Buffer
	err := r.WriteHTML(&page)
	w.file(name+".html", page.Bytes(), err)
	data, err := r.JSON()
	w.file(name+".json", data, err)
}

// pages are the templates of one page: its own, the site's, and those that it
// shares with the page of a report.
func pages(of string) (*template.Template, error) {
	t, err := report.Parts()
	if err != nil {
		return nil, err
	}
	return t.Funcs(template.FuncMap{
		"headline": headline, "address": address,
		"on":   func(root string, data any) view { return view{root, data} },
		"told": func(words string, ids []string) told { return told{words, ids} },
	}).ParseFS(templates, "site.html.tmpl", of)
}

// told are ids with the words that say what became of them.
type told struct {
	Words string
	IDs   []string
}
