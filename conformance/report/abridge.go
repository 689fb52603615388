// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// publishedReason bounds the reason of a case in an abridged report, in bytes.
const publishedReason = 1500

// Publishable returns why a report says too little of an implementation to be
// published: the run left cases out, or was ended early.
func (r *Report) Publishable() error {
	if r.Selection != nil {
		return fmt.Errorf("the run judged a part of the catalog alone; judge all of it, without --profiles, --only, --skip and --level")
	}
	for _, c := range r.Cases {
		if c.Failure == Interrupted {
			return fmt.Errorf("the run was ended before it came to %s; run it to its end", c.ID)
		}
	}
	return nil
}

// Abridge returns the report as it is published: without what only those need who
// mend a failure (logs, calls, steps, the command that repeats it), and with
// reasons of bounded length that do not tell where the machine that judged keeps
// its programs.
func (r *Report) Abridge() *Report {
	short := *r
	short.Cases = make([]CaseResult, 0, len(r.Cases))
	for _, c := range r.Cases {
		c.Output, c.Calls, c.CallsBefore, c.Steps, c.Rerun = "", nil, 0, nil, ""
		c.Reason = abridged(c.Reason)
		editions := make([]EditionResult, 0, len(c.Editions))
		for _, e := range c.Editions {
			e.Reason = abridged(e.Reason)
			editions = append(editions, e)
		}
		c.Editions = editions
		short.Cases = append(short.Cases, c)
	}
	return &short
}

// searchPath finds PATH in what a reason shows of a plugin's environment.
var searchPath = regexp.MustCompile(`(^|[^A-Za-z_])PATH=[^\s"',;\]}]*`)

// abridged is a text's beginning, cut at the end of a line where there is one.
func abridged(text string) string {
	text = searchPath.ReplaceAllString(text, "${1}PATH=…")
	if len(text) <= publishedReason {
		return text
	}
	cut := publishedReason
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	kept := text[:cut]
	if line := strings.LastIndexByte(kept, '\n'); line > publishedReason/2 {
		kept = kept[:line]
	}
	return strings.TrimRight(kept, "\n") + "\n…"
}

// JSON is the content of report.json.
func (r *Report) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return append(data, '\n'), nil
}
