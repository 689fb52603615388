// SPDX-License-Identifier: Apache-2.0

// Package explain says of a requirement what somebody needs to know who fails it:
// what it asks and where that is written, how it is asked, what a failing answer
// looks like, and which wrong implementations its case catches.
package explain

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/trace"
)

// rows.json is generated from the code of cases and mutants (make generate);
// kills.json has what mutants were failed with, as a run recorded it.
//
//go:embed rows.json kills.json
var files embed.FS

// Page is what is known of a requirement.
type Page struct {
	Case *suite.Case
	// Profile is the one of the case.
	Profile suite.Profile
	// Sections are where the requirement is written.
	Sections []Section
	// Reports are addresses of public reports that it comes from.
	Reports []string
	Row
	// Kill is what the case said of a mutant; nil when none is recorded.
	Kill *Kill
}

// Section is a part of a standard.
type Section struct {
	// Name is such as "CNI §4 DEL", URL is where it is to be read.
	Name, URL string
	// Sentences are what it asks and the case judges, in words of the suite.
	Sentences []string
}

// Row is what the code says of a requirement.
type Row struct {
	// File has the case's body.
	File string `json:"file,omitempty"`
	// About is the comment of the body.
	About string `json:"about,omitempty"`
	// Steps are the parts of the case, in its words; … stands for what differs.
	Steps []string `json:"steps,omitempty"`
	// Says are the words by which a failure begins.
	Says []string `json:"says,omitempty"`
	// Mutants are the wrong implementations that the case has to fail.
	Mutants []Mutant `json:"mutants,omitempty"`
}

// Mutant is an implementation with one fault.
type Mutant struct {
	Name  string `json:"name"`
	Fault string `json:"fault"`
}

// Kill is what a case said of a mutant.
type Kill struct {
	Mutant   string `json:"mutant"`
	Headline string `json:"headline"`
}

// knowledge is what the files have.
type knowledge struct {
	rows      map[string]Row
	kills     map[string]Kill
	documents []trace.Document
}

// known reads the files, once.
var known = sync.OnceValues(func() (*knowledge, error) {
	var k knowledge
	var err error
	if k.documents, err = trace.Load(); err != nil {
		return nil, err
	}
	if err := read("rows.json", &k.rows); err != nil {
		return nil, err
	}
	return &k, read("kills.json", &k.kills)
})

// read decodes one of the files.
func read(name string, into any) error {
	data, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// For explains a case of a catalog. An unknown id is an error with the nearest.
func For(catalog *suite.Catalog, id string) (*Page, error) {
	cases, err := catalog.Select(suite.Selection{IDs: []string{id}})
	if err != nil {
		return nil, err
	}
	if len(cases) != 1 {
		return nil, fmt.Errorf("%s names %d cases; name one", id, len(cases))
	}
	k, err := known()
	if err != nil {
		return nil, err
	}
	p := &Page{Case: &cases[0], Row: k.rows[cases[0].ID], Sections: k.sections(&cases[0]), Reports: reports(cases[0].Source)}
	if kill, recorded := k.kills[cases[0].ID]; recorded {
		p.Kill = &kill
	}
	for _, profile := range catalog.Profiles() {
		if profile.Name == p.Case.Profile {
			p.Profile = profile
		}
	}
	return p, nil
}

// sections finds where a requirement is written: the sections that its source
// names, and those with sentences that name it.
func (k *knowledge) sections(of *suite.Case) (found []Section) {
	source := trace.References(of.Source)
	for i := range k.documents {
		d := &k.documents[i]
		names, before := source[d.Name], len(found)
		for _, s := range d.Sections {
			says := judgedBy(of.ID, s.Sentences)
			if len(says) > 0 || slices.Contains(names, s.Name) {
				found = append(found, Section{d.Name + " " + s.Name, s.Address(d), says})
			}
		}
		if names != nil && len(found) == before {
			found = append(found, Section{Name: d.Name, URL: d.URL})
		}
	}
	return found
}

// judgedBy are the sentences that a case judges, in words of the suite.
func judgedBy(id string, sentences []trace.Sentence) (says []string) {
	for _, s := range sentences {
		for _, ids := range s.IDs {
			if slices.Contains(ids, id) && !slices.Contains(says, s.Says) {
				says = append(says, s.Says)
			}
		}
	}
	return says
}

// reported finds the numbers of public reports in a source: "#1449" of Multus,
// "cni#901" and "cilium#34779" of others.
var (
	reported     = regexp.MustCompile(`([a-z]*)#(\d+)`)
	repositories = map[string]string{
		"": "k8snetworkplumbingwg/multus-cni", "cni": "containernetworking/cni", "plugins": "containernetworking/plugins",
		"cilium": "cilium/cilium", "containerd": "containerd/containerd", "crio": "cri-o/cri-o", "kubernetes": "kubernetes/kubernetes",
	}
)

func reports(source string) (addresses []string) {
	for _, m := range reported.FindAllStringSubmatch(source, -1) {
		if repository := repositories[m[1]]; repository != "" {
			addresses = append(addresses, "https://github.com/"+repository+"/issues/"+m[2])
		}
	}
	return addresses
}

// shown is how many of a long list a page has.
const shown = 12

// WriteText writes the page for a terminal.
func (p *Page) WriteText(w io.Writer) error {
	var b strings.Builder
	k := p.Case
	fmt.Fprintf(&b, "%s, a %s of profile %s (%s)\n\n  %s\n\nWhere it is written\n  source: %s\n", k.ID, k.Level, k.Profile, p.Profile.Title, k.Title, k.Source)
	for _, s := range p.Sections {
		fmt.Fprintf(&b, "  %s: %s\n", s.Name, s.URL)
		for _, sentence := range s.Sentences {
			fmt.Fprintf(&b, "    - %s\n", sentence)
		}
	}
	if len(p.Reports) > 0 {
		b.WriteString("\nWhy it matters: users reported it\n")
		for _, address := range p.Reports {
			fmt.Fprintf(&b, "  %s\n", address)
		}
	}
	p.writeAsked(&b)
	p.writeFailing(&b)
	if len(p.Mutants) > 0 {
		fmt.Fprintf(&b, "\nWrong implementations that it has to fail: %d\n", len(p.Mutants))
		for _, m := range p.Mutants {
			fmt.Fprintf(&b, "  %s: %s\n", m.Name, m.Fault)
		}
	}
	fmt.Fprintf(&b, "\nTo judge it alone\n  thicket-conformance run --target TARGET.yaml --only %s -v\n", k.ID)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeAsked says how the requirement is asked.
func (p *Page) writeAsked(b *strings.Builder) {
	b.WriteString("\nHow it is asked\n")
	if p.About != "" {
		fmt.Fprintf(b, "  %s\n", p.About)
	}
	list(b, "  step: ", p.Steps)
	if p.File != "" {
		fmt.Fprintf(b, "  code: %s\n", p.File)
	}
	for _, f := range p.Case.Needs {
		fmt.Fprintf(b, "  needs the feature %s: %s\n", f, p.Profile.Features[f])
	}
	if p.Case.Editions != nil {
		b.WriteString("  once for each version of CNI that the target supports\n")
	}
	fmt.Fprintf(b, "  it may take %s\n", cmp.Or(p.Case.Timeout, suite.DefaultTimeout).Round(time.Second))
}

// writeFailing says what a failing answer looks like.
func (p *Page) writeFailing(b *strings.Builder) {
	if p.Kill == nil && len(p.Says) == 0 {
		return
	}
	b.WriteString("\nWhat a failure says\n")
	if p.Kill != nil {
		fmt.Fprintf(b, "  of the mutant %s it said:\n    %s\n", p.Kill.Mutant, p.Kill.Headline)
	}
	list(b, "  it begins: ", p.Says)
}

// list writes texts after a word each, the first ones of many.
func list(b *strings.Builder, word string, texts []string) {
	for _, text := range texts[:min(shown, len(texts))] {
		fmt.Fprintf(b, "%s%s\n", word, text)
	}
	if more := len(texts) - shown; more > 0 {
		fmt.Fprintf(b, "  … and %d more\n", more)
	}
}

// Text is WriteText's text for a case, "" for one that cannot be explained.
func Text(catalog *suite.Catalog, id string) string {
	p, err := For(catalog, id)
	if err != nil {
		return ""
	}
	var b strings.Builder
	_ = p.WriteText(&b) // a builder takes everything
	return b.String()
}
