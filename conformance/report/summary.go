// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/thicket-cni/thicket/conformance/spec"
)

// maxSummary is how many failures a summary tells in full: CI servers bound the
// size of a summary, GitHub to 1 MiB.
const maxSummary = 50

// maxReason is how much of a failure's reason a summary has, in bytes.
const maxReason = 4 << 10

// AppendSummary appends the summary to a file, such as the one that
// GITHUB_STEP_SUMMARY names, to which other steps write, too.
func (r *Report) AppendSummary(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	err = r.WriteSummary(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("summary %s: %w", path, err)
	}
	return nil
}

// WriteSummary writes the report as Markdown for people that look at a CI run:
// what fails it, each with the way to repeat it alone, what else failed, and the
// counts.
func (r *Report) WriteSummary(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## Conformance of %s\n\n%s\n", plain.Replace(strings.TrimSpace(r.Target.Name+" "+r.Version())), r.verdict())
	var gating, failed, waived []*CaseResult
	for i := range r.Cases {
		switch c := &r.Cases[i]; {
		case c.Gates():
			gating = append(gating, c)
		case c.State == Failed:
			failed = append(failed, c)
		case c.State == Waived:
			waived = append(waived, c)
		}
	}
	told := maxSummary
	for _, part := range []struct {
		title string
		cases []*CaseResult
	}{{"", gating}, {"Failed, and does not fail the run", failed}, {"Waived", waived}} {
		told -= writeFailures(&b, part.title, part.cases, told)
	}
	r.writeWaivers(&b)
	r.writeCounts(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// plain keeps what means something in Markdown from meaning it.
var plain = strings.NewReplacer("|", `\|`, "<", "&lt;", "_", `\_`, "*", `\*`, "`", "\\`", "\n", " ", "[", `\[`)

// verdict is the outcome in a sentence, as the exit status has it.
func (r *Report) verdict() string {
	n := len(r.Gating())
	what := "failed"
	if r.Baseline != nil {
		what = "got worse than in the baseline, " + plain.Replace(strings.TrimSpace(r.Baseline.Name+" "+r.Baseline.Version)) + " of " + r.Baseline.Started.Format("2006-01-02")
	}
	text := fmt.Sprintf("**%d MUST %s.**", n, what)
	if n == 0 {
		text = fmt.Sprintf("**No MUST %s.**", what)
	}
	return fmt.Sprintf("%s %s. Judged by suite %s in %.0f s, seed %d%s.", text, r.Total(), r.Suite.Version, r.Seconds, r.Seed, r.Slowness())
}

// Slowness says by how much deadlines were multiplied, "" when they were not. It
// continues a sentence.
func (r *Report) Slowness() string {
	if r.Slow <= 1 {
		return ""
	}
	return fmt.Sprintf(", all deadlines multiplied by %g for a slow machine", r.Slow)
}

// writeFailures writes cases under a title, some of them in full, and returns how
// many those were.
func writeFailures(b *strings.Builder, title string, cases []*CaseResult, full int) int {
	if len(cases) == 0 {
		return 0
	}
	if title != "" {
		fmt.Fprintf(b, "\n### %s\n", title)
	}
	full = min(max(0, full), len(cases))
	for _, c := range cases[:full] {
		fmt.Fprintf(b, "\n#### %s %s %s\n\n%s. Source: %s.\n", c.State, c.Level, c.ID, plain.Replace(c.Title), plain.Replace(c.Source))
		if excuse := c.Excuse(); excuse != "" {
			fmt.Fprintf(b, "\n%s.\n", plain.Replace(excuse))
		}
		fenced(b, "", cmp.Or(bounded(c.Reason), "no reason is known"))
		if c.Rerun != "" {
			b.WriteString("\nIt alone, with everything kept:\n")
			fenced(b, "sh", c.Rerun)
		}
	}
	for _, c := range cases[full:] {
		fmt.Fprintf(b, "- %s %s %s: %s\n", c.State, c.Level, c.ID, plain.Replace(c.Title))
	}
	return full
}

// bounded cuts a reason.
func bounded(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + "\n… the rest is in the report"
}

// fenced writes a text as a block of code. The fence is longer than any in it.
func fenced(b *strings.Builder, language, text string) {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "\n%s%s\n%s\n%s\n", fence, language, strings.TrimRight(text, "\n"), fence)
}

// writeWaivers lists the waivers that somebody has to do something about.
func (r *Report) writeWaivers(b *strings.Builder) {
	text := map[WaiverOutcome]string{WaiverUnneeded: "passes now: remove its waiver", WaiverNotJudged: "was not judged: its waiver excused nothing"}
	for _, w := range r.Waivers {
		if say := text[w.Outcome]; say != "" {
			fmt.Fprintf(b, "\n- %s %s", strings.TrimSpace(w.ID+" "+w.Version), say)
		}
	}
	if mended := r.Mended(); len(mended) > 0 {
		b.WriteString("\n- Failed in the baseline, and passes now:")
		for _, c := range mended {
			b.WriteString(" " + c.ID)
		}
	}
	b.WriteString("\n")
}

// writeCounts writes a table of the profiles, and one of their versions of CNI.
func (r *Report) writeCounts(b *strings.Builder) {
	b.WriteString("\n| profile | MUST passed | failed | waived | skipped | n/a | SHOULD passed | failed | waived | skipped | n/a |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range append(r.Summary[:len(r.Summary):len(r.Summary)], ProfileSummary{"all", r.Count(spec.Must), r.Count(spec.Should)}) {
		fmt.Fprintf(b, "| %s | %s | %s |\n", s.Profile, s.Must.cells(), s.Should.cells())
	}
	for _, line := range r.Conformance() {
		fmt.Fprintf(b, "\n%s.\n", line)
	}
	if len(r.Target.Undeclared) > 0 {
		fmt.Fprintf(b, "\nIt has, by what it answers, features that its target file does not declare: %v.\n", r.Target.Undeclared)
	}
}

func (c Count) cells() string {
	return fmt.Sprintf("%d | %d | %d | %d | %d", c.Passed, c.Failed, c.Waived, c.Skipped, c.NotApplicable)
}
