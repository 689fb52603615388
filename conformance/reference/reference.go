// SPDX-License-Identifier: Apache-2.0

package reference

import (
	_ "embed" // for the template
	"fmt"
	"strings"
	"text/template"
)

//go:embed targets.md.tmpl
var page string

// Write makes the reference. root is the repository's root directory.
func Write(root string) (string, error) {
	s := &source{root: root, packages: map[string]*parsed{}}
	t, err := template.New("TARGETS.md").Funcs(template.FuncMap{
		"keys":      func(dir, name string) (string, error) { return s.table("key", s.keys(dir, name, "")) },
		"variables": func(dir, name string) (string, error) { return s.table("variable", s.fields(dir, name, "{{.%s}}")) },
		"steps":     func(dir, name string) (string, error) { return s.table("key", s.tagged(dir, name)) },
		"features":  func(dir string) (string, error) { return s.table("feature", s.features(dir)) },
	}).Parse(page)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := t.Execute(&out, nil); err != nil {
		return "", err
	}
	return out.String(), nil
}

// row is one line of a table.
type row struct{ name, kind, text string }

// table renders rows. One without a text is an error: its comment is missing.
func (s *source) table(head string, rows []row) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	var out strings.Builder
	kinds := ""
	for _, r := range rows {
		kinds += r.kind
	}
	if kinds != "" {
		fmt.Fprintf(&out, "| %s | value | what |\n|---|---|---|\n", head)
	} else {
		fmt.Fprintf(&out, "| %s | what |\n|---|---|\n", head)
	}
	for _, r := range rows {
		if r.text == "" {
			return "", fmt.Errorf("%s %s has no comment in the code", head, r.name)
		}
		fmt.Fprintf(&out, "| `%s` | ", r.name)
		if kinds != "" {
			fmt.Fprintf(&out, "%s | ", r.kind)
		}
		fmt.Fprintf(&out, "%s |\n", strings.NewReplacer("|", "\\|", "<", "&lt;").Replace(r.text))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}
