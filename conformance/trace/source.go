// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"regexp"
	"strings"
)

// reference finds the standards in a case's Source, each with the sections
// that follow it: "CNI", "CNI §2 GC", "NPWG §4.1.2.1.3.2, .4.2", "NPWG §5.3.2
// to 5.3.5". Other sources, such as OPS or #1449, are not traced.
var (
	reference = regexp.MustCompile(`\b(CNI|CONVENTIONS|NPWG)\b( §` + number + `(?:(?:, | to | and )§?\.?` + number + `)*)?`)
	section   = regexp.MustCompile(`(\.?)(` + number + `)`)
)

const number = `\d+(?:\.\d+)*(?: (?:ADD|DEL|CHECK|STATUS|VERSION|GC)\b)?`

// References returns the sections that a Source names, by document. A document
// that is named without one has an empty list.
func References(source string) map[string][]string {
	named := map[string][]string{}
	for _, match := range reference.FindAllStringSubmatch(source, -1) {
		document, list := match[1], match[2]
		if named[document] == nil {
			named[document] = []string{}
		}
		var last string
		for _, s := range section.FindAllStringSubmatch(list, -1) {
			if s[1] != "" {
				s[2] = replaceTail(last, s[2])
			}
			last = s[2]
			named[document] = append(named[document], "§"+last)
		}
	}
	return named
}

// replaceTail resolves a section that is written relative to the one before:
// ".4.2" after "4.1.2.1.3.2" is "4.1.2.1.4.2".
func replaceTail(last, tail string) string {
	parts := strings.Split(last, ".")
	keep := max(0, len(parts)-strings.Count(tail, ".")-1)
	return strings.Join(append(parts[:keep:keep], tail), ".")
}

// within reports whether a section is the named one or below it.
func within(section, named string) bool {
	return section == named || strings.HasPrefix(section, named+".") || strings.HasPrefix(section, named+" ")
}

// outsideAnchor is what GitHub leaves out of a heading's anchor.
var outsideAnchor = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)

// Address is where the section is to be read: in a Markdown document its heading,
// unless another one has the same words.
func (s *Section) Address(d *Document) string {
	same := 0
	for i := range d.Sections {
		if d.Sections[i].Heading == s.Heading {
			same++
		}
	}
	if same != 1 || !strings.HasSuffix(d.URL, ".md") {
		return d.URL
	}
	anchor := outsideAnchor.ReplaceAllString(strings.ToLower(s.Heading), "")
	return d.URL + "#" + strings.ReplaceAll(anchor, " ", "-")
}
