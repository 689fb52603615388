// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"io"
	"strings"
)

// profileTitles say what the groups of requirements are about.
var profileTitles = map[string]string{
	"socket":     "The socket and the run directory",
	"ready":      "Readiness: of the daemon, and as clients ask for it",
	"endpoint":   "The HTTP endpoints",
	"shim":       "The shim that the runtime executes",
	"add":        "ADD",
	"del":        "DEL",
	"check":      "CHECK",
	"lifecycle":  "GC and STATUS",
	"hotplug":    "Hot-plug by /delegate",
	"multinet":   "Several networks: annotations, definitions, status",
	"resilience": "Crashes, reboots, storms, what is away",
	"security":   "What a pod or a process of another user must not reach",
}

// retired are the ids of cases that are gone, and why. An id is never used for
// another requirement: reports of all versions of the suite can be compared.
var retired = map[string]string{}

// markdown keeps what means something in Markdown from meaning it.
var markdown = strings.NewReplacer("|", `\|`, "<", "&lt;", "_", `\_`, "*", `\*`)

// WriteCatalog writes the cases as Markdown, a table for each profile.
func WriteCatalog(w io.Writer, cases []Case) error {
	var b strings.Builder
	count := map[Level]int{}
	for _, c := range cases {
		count[c.Level]++
	}
	fmt.Fprintf(&b, "# The requirements\n\nSuite %s: %d cases, %d MUST and %d SHOULD. A number with # is a problem that users reported against Multus.\n",
		Version, len(cases), count[Must], count[Should])
	profile := ""
	for _, c := range cases {
		if c.Profile != profile {
			profile = c.Profile
			fmt.Fprintf(&b, "\n## %s\n\nProfile `%s`.\n\n| id | level | requirement | source | needs |\n|---|---|---|---|---|\n", profileTitles[profile], profile)
		}
		var needs []string
		for _, f := range c.Needs {
			needs = append(needs, string(f))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", c.ID, c.Level, markdown.Replace(c.Title), markdown.Replace(c.Source), strings.Join(needs, ", "))
	}
	b.WriteString("\n## Features\n\nWhat a target may support and some cases need; a case whose needs a target does not declare is skipped.\n\n| feature | what it is |\n|---|---|\n")
	for _, f := range knownFeatures() {
		fmt.Fprintf(&b, "| %s | %s |\n", f, features[f])
	}
	_, err := io.WriteString(w, b.String())
	return err
}
