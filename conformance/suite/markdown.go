// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// markdown keeps what means something in Markdown from meaning it.
var markdown = strings.NewReplacer("|", `\|`, "<", "&lt;", "_", `\_`, "*", `\*`)

// WriteMarkdown writes the cases of a selection, a table for each profile, and
// the features that they need.
func (c *Catalog) WriteMarkdown(w io.Writer, s Selection) error {
	cases, err := c.Select(s)
	if err != nil {
		return err
	}
	var b strings.Builder
	count := map[spec.Level]int{}
	for _, k := range cases {
		count[k.Level]++
	}
	fmt.Fprintf(&b, "# The requirements\n\nSuite %s: %d cases, %d MUST and %d SHOULD. A number with # is a problem that users reported against Multus.\n",
		spec.Version, len(cases), count[spec.Must], count[spec.Should])
	features, optional := map[spec.Feature]string{}, map[spec.Feature]bool{}
	profile := ""
	for _, k := range cases {
		if k.Profile != profile {
			profile = k.Profile
			p, _ := c.profile(profile)
			maps.Copy(features, p.Features)
			for _, f := range p.Optional {
				optional[f] = true
			}
			fmt.Fprintf(&b, "\n## %s\n\nProfile `%s`.\n\n| id | level | requirement | source | needs |\n|---|---|---|---|---|\n", p.Title, profile)
		}
		var needs []string
		for _, f := range k.Needs {
			needs = append(needs, string(f))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", k.ID, k.Level, markdown.Replace(k.Title), markdown.Replace(k.Source), strings.Join(needs, ", "))
	}
	c.writeOpen(&b, cases)
	b.WriteString("\n## Features\n\nWhat a target may support and some cases need; a case whose needs a target does not declare is skipped. " +
		"Nobody owes an optional one: the case is not applicable then, which leaves no gap.\n\n| feature | what it is | |\n|---|---|---|\n")
	for _, f := range slices.Sorted(maps.Keys(features)) {
		word := ""
		if optional[f] {
			word = "optional"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f, features[f], word)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// writeOpen writes what the standards of the cases' profiles leave open. Profiles
// that share a list have it once.
func (c *Catalog) writeOpen(b *strings.Builder, cases []Case) {
	var open []string
	for _, p := range c.profiles {
		if !slices.ContainsFunc(cases, func(k Case) bool { return k.Profile == p.Name }) {
			continue
		}
		for _, question := range p.Open {
			if !slices.Contains(open, question) {
				open = append(open, question)
			}
		}
	}
	if len(open) == 0 {
		return
	}
	b.WriteString("\n## What the letter leaves open\n\nNo case fails a target for one reading of these.\n\n")
	for _, question := range open {
		fmt.Fprintf(b, "- %s\n", markdown.Replace(question))
	}
}
