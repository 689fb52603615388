// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// prose are the documents that people read, from the root of the repository.
var prose = []string{
	"README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md", ".github/SECURITY.md", "cmd/thicketd/README.md",
	"conformance/README.md", "conformance/RESULTS.md", "conformance/TRACE.md", "kind/README.md",
}

var (
	idInProse = regexp.MustCompile(`\b(?:SOCK|READY|EP|SHIM|ADD|DEL|CHECK|GC|ST|HOT|NET|RES|SEC)-\d{2}\b`)
	link      = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	// quotation introduces an indented block that stands in a file: "From `path`:".
	quotation = regexp.MustCompile("(?m)^ *From `([^`]+)`:\n\n((?:    .*\n|\n)+)")
)

// TestProseNamesWhatExists holds the documents to the repository: the rows that
// they name have cases or are pending, their links lead somewhere, and what
// they quote stands there.
func TestProseNamesWhatExists(t *testing.T) {
	_, pending := load(t)
	known := slices.Clone(pending)
	for _, c := range catalog(t) {
		known = append(known, c.ID)
	}
	for _, name := range prose {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		text := string(data)
		for _, id := range idInProse.FindAllString(text, -1) {
			if !slices.Contains(known, id) {
				t.Errorf("%s names %s, which has no case and is not in pending.txt", name, id)
			}
		}
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("../..", filepath.Dir(name), match[1])); err != nil {
				t.Errorf("%s: its link leads nowhere: %v", name, err)
			}
		}
		for _, match := range quotation.FindAllStringSubmatch(text, -1) {
			expectQuoted(t, name, match[1], match[2])
		}
	}
}

// expectQuoted looks for each line of a quotation in the file that it is from.
func expectQuoted(t *testing.T, name, from, block string) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("../..", from))
	if err != nil {
		t.Errorf("%s quotes %v", name, err)
		return
	}
	var lines []string
	for line := range strings.Lines(string(source)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	for line := range strings.Lines(block) {
		if line = strings.TrimSpace(line); line != "" && line != "…" && !slices.Contains(lines, line) {
			t.Errorf("%s quotes a line that %s does not have: %s", name, from, line)
		}
	}
}

// idsOf020 is how many ids the suite had at version 0.2.0, the first whose
// rows were listed.
const idsOf020 = 124

// TestChangelogNamesNewRows looks for every row that came since 0.2.0; ids.txt
// has them in the order in which they came.
func TestChangelogNamesNewRows(t *testing.T) {
	ids, err := os.ReadFile("../ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(string(ids))[idsOf020:] {
		if !strings.Contains(string(changelog), "| "+id+" |") {
			t.Errorf("CHANGELOG.md does not say that %s came", id)
		}
	}
}
