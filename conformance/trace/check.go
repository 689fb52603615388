// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"fmt"
	"slices"
	"strings"
)

// Check compares the documents with the catalog's cases and returns what is
// wrong, a line each.
func Check(documents []Document, cases []Case, pending []string) []string {
	c := checker{cases: map[string]bool{}, pending: map[string]bool{}}
	for _, it := range cases {
		c.cases[it.ID] = true
	}
	for _, id := range pending {
		c.pending[id] = true
	}
	for i := range documents {
		c.document(&documents[i])
	}
	for _, it := range cases {
		c.source(documents, it)
	}
	for _, id := range pending {
		if c.cases[id] {
			c.addf("%s has a case now: take it out of conformance/trace/pending.txt (make generate does)", id)
		}
	}
	return c.problems
}

type checker struct {
	cases, pending map[string]bool
	problems       []string
}

func (c *checker) addf(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

func (c *checker) document(d *Document) {
	seen := map[string]bool{}
	for i := range d.Sections {
		s := &d.Sections[i]
		where := d.Name + " " + s.Name
		if seen[s.Name] {
			c.addf("%s stands there twice", where)
		}
		seen[s.Name] = true
		words := s.Asides
		for j := range s.Sentences {
			words += s.Sentences[j].words()
			c.sentence(where, &s.Sentences[j])
		}
		if words != s.Words {
			c.addf("%s: the text has %d normative words, its sentences and asides cover %d", where, s.Words, words)
		}
	}
}

func (c *checker) sentence(where string, s *Sentence) {
	where = fmt.Sprintf("%s, %q", where, s.Says)
	if s.Says == "" || s.Level != "MUST" && s.Level != "SHOULD" {
		c.addf("%s: says is empty, or level %q is neither MUST nor SHOULD", where, s.Level)
	}
	if len(s.Binds) == 0 {
		c.addf("%s binds nobody", where)
	}
	for _, role := range s.Binds {
		if Roles[role] == "" {
			c.addf("%s: role %q is unknown", where, role)
		}
	}
	for _, subject := range Subjects {
		answers := len(s.IDs[subject.Name]) + len(s.Why[subject.Name]) + len(s.Open[subject.Name])
		if bound := s.binds(subject); bound && answers == 0 {
			c.addf("%s: neither an id for %s nor the reason why there is none", where, subject.Name)
		} else if !bound && answers > 0 {
			c.addf("%s does not bind %s and has an answer for it", where, subject.Name)
		}
	}
	for _, ids := range s.IDs {
		for _, id := range ids {
			if !c.cases[id] && !c.pending[id] {
				c.addf("%s: the catalog has no %s", where, id)
			}
		}
	}
}

// source checks that the table has what a case's Source names, and that the
// case stands there.
func (c *checker) source(documents []Document, it Case) {
	for name, sections := range References(it.Source) {
		at := slices.IndexFunc(documents, func(d Document) bool { return d.Name == name })
		if at < 0 {
			c.addf("%s: its source %s is not traced", it.ID, name)
			continue
		}
		d := &documents[at]
		for _, s := range sections {
			if !slices.ContainsFunc(d.Sections, func(have Section) bool { return within(have.Name, s) }) {
				c.addf("%s: its source %s %s is not in the table", it.ID, name, s)
			}
		}
		if !d.judgedBy(it.ID, sections) {
			c.addf("%s: no sentence of %s %s names it", it.ID, name, strings.Join(sections, ", "))
		}
	}
}

// judgedBy reports whether a sentence of one of the sections names an id; no
// sections means all.
func (d *Document) judgedBy(id string, sections []string) bool {
	for _, have := range d.Sections {
		if len(sections) > 0 && !slices.ContainsFunc(sections, func(s string) bool { return within(have.Name, s) }) {
			continue
		}
		for _, sentence := range have.Sentences {
			for _, ids := range sentence.IDs {
				if slices.Contains(ids, id) {
					return true
				}
			}
		}
	}
	return false
}
