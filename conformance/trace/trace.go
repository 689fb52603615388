// SPDX-License-Identifier: Apache-2.0

// Package trace holds, sentence by sentence, what the standards ask of the
// programs that the suite judges, and which cases judge it. TRACE.md is made of
// it.
//
// Each standard is a YAML file of sections; a section lists its normative
// sentences in words of our own. A sentence says whom it binds, and for each
// subject of the suite that is bound either the ids of the cases that judge it
// or the reason why none does. A later subject joins by a line in Subjects and
// by its ids beside those that are there.
package trace

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed cni.yaml conventions.yaml npwg.yaml pending.txt
var files embed.FS

// documents are the standards, in the order of TRACE.md.
var documents = []string{"cni.yaml", "conventions.yaml", "npwg.yaml"}

// Subject is a kind of program that the suite judges.
type Subject struct {
	Name string
	// Roles are the roles of the standards that such a program plays.
	Roles []string
}

// Subjects are those whose cases are traced. A thick plugin is a plugin towards
// the runtime and a runtime towards its delegates; "plugin" is any other CNI plugin,
// in whichever role, with the ids of the profiles plugin, ipam and chain, and
// "runtime" whoever executes plugins.
var Subjects = []Subject{
	{Name: "thick", Roles: []string{"plugin", "delegating", "chained", "runtime", "implementation"}},
	{Name: "plugin", Roles: []string{"plugin", "delegating", "chained", "ipam"}},
	{Name: "runtime", Roles: []string{"runtime"}},
}

// Roles are whom a sentence can bind.
var Roles = map[string]string{
	"plugin":         "any CNI plugin",
	"delegating":     "a CNI plugin that executes another one",
	"chained":        "a CNI plugin behind another one",
	"ipam":           "an IPAM plugin",
	"runtime":        "a program that executes CNI plugins",
	"implementation": "an implementation of the NPWG standard that delegates to CNI plugins",
	"configuration":  "the author of a network's configuration, a pod or a cluster",
	"client":         "another program that uses the same objects",
	"standard":       "the authors of a standard",
}

// Document is a standard.
type Document struct {
	// Name is what a case's Source calls it.
	Name    string `json:"document"`
	Title   string `json:"title"`
	Version string `json:"version"`
	URL     string `json:"url"`
	// Module and File are where the text is, when it is in a Go module.
	Module   string    `json:"module"`
	File     string    `json:"file"`
	Sections []Section `json:"sections"`
}

// Section is a part of a standard that has normative sentences.
type Section struct {
	// Name is how a Source refers to it, such as "§2 DEL".
	Name    string `json:"section"`
	Heading string `json:"heading"`
	// Words counts the normative words of the text (see normative), Asides those
	// of them that ask for nothing, such as "required" in a heading.
	Words     int        `json:"words"`
	Asides    int        `json:"asides"`
	Sentences []Sentence `json:"sentences"`
}

// Sentence is one thing that a standard asks.
type Sentence struct {
	// Says is the sentence in words of our own.
	Says string `json:"says"`
	// Level is MUST (also for SHALL, REQUIRED and steps of a procedure) or SHOULD.
	Level string `json:"level"`
	// Binds lists roles.
	Binds []string `json:"binds"`
	// Words is how many of the section's normative words it covers; absent means
	// one, and a step of a procedure has none.
	Words *int `json:"words"`
	// IDs are the cases that judge it, by subject; Why is what they leave out and
	// the reason; Open is what a case should judge and none does.
	IDs  map[string][]string `json:"ids"`
	Why  map[string]string   `json:"why"`
	Open map[string]string   `json:"open"`
}

// Case is what the table needs to know of a case.
type Case struct{ ID, Source string }

// Load reads the documents.
func Load() ([]Document, error) {
	var all []Document
	for _, name := range documents {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var d Document
		if err := yaml.UnmarshalStrict(data, &d); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// Pending returns the ids that sentences name and that have no case yet.
func Pending() ([]string, error) {
	data, err := files.ReadFile("pending.txt")
	if err != nil {
		return nil, err
	}
	var ids []string
	for line := range strings.Lines(string(data)) {
		if id := strings.TrimSpace(line); id != "" && !strings.HasPrefix(id, "#") {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// words returns how many normative words the sentence covers.
func (s *Sentence) words() int {
	if s.Words == nil {
		return 1
	}
	return *s.Words
}

// binds reports whether the sentence binds a subject.
func (s *Sentence) binds(subject Subject) bool {
	return slices.ContainsFunc(s.Binds, func(role string) bool { return slices.Contains(subject.Roles, role) })
}
