// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/thicket-cni/thicket/conformance/spec"
)

//go:embed page.html.tmpl report.html.tmpl compare.html.tmpl
var pages embed.FS

// Parts returns the templates and functions that the pages of reports share, in
// page.html.tmpl ("head", "filter", "counts"), for pages that stand beside them.
func Parts() (*template.Template, error) {
	return template.New("page").Funcs(template.FuncMap{
		"seconds": func(s float64) string { return fmt.Sprintf("%.1f s", s) },
		"lower":   func(s any) string { return strings.ToLower(fmt.Sprint(s)) },
		"join":    func(texts []string) string { return strings.Join(texts, ", ") },
		"number":  func(id string) string { _, n, _ := strings.Cut(id, "-"); return n },
		"ms":      func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) },
	}).ParseFS(pages, "page.html.tmpl")
}

// page renders one of the pages.
func page(w io.Writer, name string, data any) error {
	t, err := Parts()
	if err != nil {
		return err
	}
	if t, err = t.ParseFS(pages, name); err != nil {
		return err
	}
	return t.ExecuteTemplate(w, name, data)
}

// WriteHTML writes the report as one self-contained page.
func (r *Report) WriteHTML(w io.Writer) error {
	total := ProfileSummary{Must: r.Count(spec.Must), Should: r.Count(spec.Should)}
	return page(w, "report.html.tmpl", map[string]any{"Report": r, "Total": total, "Publisher": r.Implementation.lines()})
}

func (r *Report) html() ([]byte, error) {
	var b bytes.Buffer
	err := r.WriteHTML(&b)
	return b.Bytes(), err
}

// About is what the page says of the requirement of a case that failed, waived or
// not; "" when nothing is known.
func (r *Report) About(c CaseResult) string {
	if r.Explain == nil || c.State != Failed && c.State != Waived {
		return ""
	}
	return r.Explain(c.ID)
}

// CasesOf are the report's cases of one profile.
func (r *Report) CasesOf(profile string) []CaseResult {
	var all []CaseResult
	for _, c := range r.Cases {
		if c.Profile == profile {
			all = append(all, c)
		}
	}
	return all
}

// lines are what a page says of the publisher beside the address.
func (p *Publisher) lines() []string {
	all := append([]string{p.Organization, p.Project}, p.Contact...)
	return slices.DeleteFunc(all, func(text string) bool { return text == "" })
}
