// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// normative are the words of RFC 2119 that ask for something; "may" and
// "optional" leave it free.
var normative = regexp.MustCompile(`(?i)\b(must|shall|should|required|recommended)\b|\bmay not\b`)

// TestWordsOfTheText counts the normative words in each section of the texts
// that a Go module has. A section that the table lacks, or a text that changed
// with the module's version, is found by it.
func TestWordsOfTheText(t *testing.T) {
	documents, _ := load(t)
	for _, d := range documents {
		if d.Module == "" {
			continue
		}
		text := textOf(t, &d)
		if d.Name == "CNI" && !strings.Contains(text, "version **"+d.Version+"**") {
			t.Errorf("%s of %s is not of version %s: go through its sections anew", d.File, d.Module, d.Version)
		}
		next := 0
		for _, part := range split(text) {
			words := len(normative.FindAllString(part.text, -1))
			switch {
			case next < len(d.Sections) && d.Sections[next].Heading == part.heading:
				if words != d.Sections[next].Words {
					t.Errorf("%s %s %q: the text has %d normative words, the table says %d", d.Name, d.Sections[next].Name, part.heading, words, d.Sections[next].Words)
				}
				next++
			case words > 0:
				t.Errorf("%s: %q has %d normative words and is not in the table at this place", d.Name, part.heading, words)
			}
		}
		if next < len(d.Sections) {
			t.Errorf("%s: the text has no heading %q after the ones before it", d.Name, d.Sections[next].Heading)
		}
	}
}

func textOf(t *testing.T, d *Document) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", d.Module).Output()
	if err != nil || strings.TrimSpace(string(dir)) == "" {
		t.Skipf("go list -m knows no directory of %s: %v; go mod download brings it", d.Module, err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), d.File))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type part struct{ heading, text string }

// split cuts Markdown at its headings and leaves code blocks out.
func split(text string) []part {
	var parts []part
	code := false
	for line := range strings.Lines(text) {
		title := strings.TrimLeft(line, "#")
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			code = !code
		case code:
		case title != line && strings.HasPrefix(title, " "):
			parts = append(parts, part{heading: strings.TrimSpace(title)})
		case len(parts) > 0:
			parts[len(parts)-1].text += line
		}
	}
	return parts
}
