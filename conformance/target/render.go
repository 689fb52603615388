// SPDX-License-Identifier: Apache-2.0

package target

import (
	"fmt"
	"strings"
	"text/template"
)

// Render renders a text of a target file, the value of key, as a template of
// text/template over values. functions are what the template has beside
// text/template's own. Errors name the key; a key that a map lacks is one.
func Render(key, text string, values any, functions template.FuncMap) (string, error) {
	tmpl, err := template.New(key).Funcs(functions).Option("missingkey=error").Parse(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	var out strings.Builder
	if err := tmpl.Execute(&out, values); err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	return out.String(), nil
}

// RenderAll renders several texts of one key.
func RenderAll(key string, texts []string, values any, functions template.FuncMap) ([]string, error) {
	var all []string
	for _, text := range texts {
		out, err := Render(key, text, values, functions)
		if err != nil {
			return nil, err
		}
		all = append(all, out)
	}
	return all, nil
}
