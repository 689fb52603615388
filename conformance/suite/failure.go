// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	gtypes "github.com/onsi/ginkgo/v2/types"

	"github.com/thicket-cni/thicket/conformance/report"
)

// maxHeadline is how long a headline may be, in characters.
const maxHeadline = 240

// failed is a failure taken apart: a headline in the case's own words, and what
// was wanted and seen where the headline has no room for it.
type failed struct {
	headline, detail string
	// worded means that the headline has words of the case, and not of the matcher
	// alone.
	worded bool
	// waited is how long was waited for what did not come, "" when it was not.
	waited string
}

var (
	// waitedFor is how Gomega begins when something did not come in time, or did
	// not last.
	waitedFor = regexp.MustCompile(`^(Timed out|Failed|Context was cancelled|Told to stop trying|No future change is possible)[^\n]*? after (\d+\.\d+)s\.$`)
	// matcherText is how Gomega's matchers begin to speak.
	matcherText = regexp.MustCompile(`^(Expected( .*)?|Unexpected error:.*|Unexpected non-nil.*|The (function|matcher) passed to \w+ .*|to (equal|be|have|contain|match) .*|No value .*|\[.*\] failed.*)$`)
	// errorText is the text of an error as Gomega shows it, with its type before
	// it and its fields behind it.
	errorText = regexp.MustCompile(`(?s)^(?:Unexpected error|Expected success, but got an error|The (?:function|matcher) passed to \w+ returned the following error):[^\n]*\n\s*<[^\n]*>:?\s*\n?(.*?)(?:\n\s+\{.*|\n\s+<.*|\noccurred|\nAt one point.*|\s*)$`)
	valueType = regexp.MustCompile(`<[\w.*\[\]{}() ]+( \| [^<>"\n]*)?>:? ?`)
	duration  = regexp.MustCompile(`<time\.Duration>: (-?\d+)`)
	aboutBool = regexp.MustCompile(`^expected (false to be true|true to be false|true not to be true)$`)
	// lateNode is how Ginkgo tells of what failed after the case's time was over.
	lateNode = regexp.MustCompile(`^A .* timeout occurred and then the following failure was recorded[^\n]*\n`)
	// lostReason is what a lost connection adds to a sentence.
	lostReason = regexp.MustCompile(`: ([^"]*[:(] ?)?(EOF|connection re(set by peer|fused)|broken pipe)\)?$`)
	// wordless are texts of errors that say nothing of what was asked for.
	wordless = regexp.MustCompile(`^(unexpected )?EOF$|^context (deadline exceeded|canceled)$|^[a-z]+( unix)?[^:]*: (connect: )?(connection refused|connection reset by peer|broken pipe)$|: EOF$`)
)

// takeApart reads a failure's message. What the case says stands first in it,
// what the matcher says behind.
func takeApart(message, title string) failed {
	var f failed
	message = lateNode.ReplaceAllString(message, "")
	first, rest, _ := strings.Cut(message, "\n")
	if m := waitedFor.FindStringSubmatch(first); m != nil {
		f.waited, message = m[2], rest
	}
	lines := strings.Split(strings.TrimSpace(message), "\n")
	at := 0
	for at < len(lines) && !matcherText.MatchString(lines[at]) {
		at++
	}
	said, matcher := lines[:at], strings.Join(lines[at:], "\n")
	seen, short := compact(matcher)
	f.worded = len(said) > 0 && strings.TrimSpace(said[0]) != ""
	switch {
	case f.worded:
		f.headline, f.detail = strings.Join(strings.Fields(strings.Join(said, " ")), " "), ""
		if len(f.headline) > maxHeadline/2 {
			f.headline, f.detail = strings.TrimSpace(said[0]), strings.Join(said[1:], "\n")
		}
		f.headline = strings.TrimRight(f.headline, ":.;")
		if seen != "" && !aboutBool.MatchString(seen) {
			f.headline += ": " + seen
		}
	case short && !wordless.MatchString(seen): // an error's own words
		f.headline, f.worded = seen, true
	default:
		f.headline = fmt.Sprintf("%q is not kept: %s", title, cmp.Or(seen, "no reason was given"))
	}
	if cut := []rune(f.headline); len(cut) > maxHeadline {
		f.headline = strings.TrimSpace(string(cut[:maxHeadline])) + " …"
		f.detail = strings.TrimLeft(f.detail+"\n"+matcher, "\n")
	}
	if f.waited != "" && f.waited != "0.000" {
		f.headline += fmt.Sprintf(" (after %s s)", strings.TrimRight(strings.TrimRight(f.waited, "0"), "."))
	}
	return f
}

// compact is what a matcher says in one line, without the types of values.
// isError means that it is the text of an error.
func compact(matcher string) (text string, isError bool) {
	if m := errorText.FindStringSubmatch(matcher); m != nil {
		return strings.Join(strings.Fields(m[1]), " "), true
	}
	matcher = duration.ReplaceAllStringFunc(matcher, func(m string) string {
		n, _ := strconv.ParseInt(duration.FindStringSubmatch(m)[1], 10, 64)
		return time.Duration(n).Round(time.Millisecond).String()
	})
	text = strings.Join(strings.Fields(valueType.ReplaceAllString(matcher, "")), " ")
	if after, found := strings.CutPrefix(text, "Expected"); found {
		text = "expected" + after
	}
	return text, false
}

// explain fills in why a spec failed: a headline, what was wanted and seen, the
// step (ginkgo.By), and the place in the case.
func explain(to *report.CaseResult, sr *gtypes.SpecReport, limit time.Duration, told *Story) {
	failure, also := sr.Failure, sr.AdditionalFailures
	if sr.State.Is(gtypes.SpecStateSkipped) { // and its clean-up failed
		failure, also = also[0].Failure, also[1:]
	}
	f := takeApart(failure.Message, to.Title)
	location := failure.Location
	if steps := sr.SpecEvents.WithType(gtypes.SpecEventByStart); len(steps) > 0 {
		to.Step = steps[len(steps)-1].Message
	}
	switch {
	case failure.ForwardedPanic != "":
		f = failed{headline: "the case panicked: " + failure.ForwardedPanic, worded: true}
	case sr.State.Is(gtypes.SpecStateTimedout):
		f = overdue(sr, to, limit, told)
		if late := sr.Failure.AdditionalFailure; late != nil {
			location = late.Failure.Location
		}
	}
	if told.Ended != "" && to.Failure != report.FailedLeftovers {
		f.headline, f.worded = told.Ended+": "+lostReason.ReplaceAllString(f.headline, ""), true
	}
	to.Unworded = !f.worded
	var b strings.Builder
	b.WriteString(f.headline)
	for _, part := range []struct{ label, text string }{{"", f.detail}, {"while ", to.Step}, {"at ", location.String() + whereabouts(failure.ProgressReport)}} {
		if part.text != "" {
			fmt.Fprintf(&b, "\n  %s%s", part.label, strings.ReplaceAll(part.text, "\n", "\n  "))
		}
	}
	for _, more := range also {
		fmt.Fprintf(&b, "\nand then: %s", takeApart(more.Failure.Message, to.Title).headline)
	}
	to.Reason = b.String()
}

// overdue words the failure of a case that did not end in time: by what it was
// doing, else by what it was waiting for.
func overdue(sr *gtypes.SpecReport, to *report.CaseResult, limit time.Duration, told *Story) failed {
	var f failed
	if late := sr.Failure.AdditionalFailure; late != nil {
		f = takeApart(late.Failure.Message, to.Title)
	}
	over := fmt.Sprintf(" (the case may take %s)", limit)
	for _, step := range told.Steps {
		if step.Took == nil && step.Outcome == "" {
			detail := ""
			if f.worded {
				detail = f.headline + "\n" + f.detail
			}
			return failed{headline: step.Text + ": no answer after " + (told.At - step.After).Round(100*time.Millisecond).String() + over, detail: strings.TrimSpace(detail), worded: true}
		}
	}
	switch {
	case f.worded:
		f.headline += over
	case to.Step != "":
		f = failed{headline: fmt.Sprintf("it did not get beyond the step %q%s", to.Step, over), detail: f.headline, worded: true}
	default:
		f = failed{headline: fmt.Sprintf("%q could not be judged: it did not end%s", to.Title, over), detail: f.headline}
	}
	return f
}

// whereabouts is the line of the case that a goroutine of it was at, "" when
// that is not known.
func whereabouts(p gtypes.ProgressReport) string {
	for _, frame := range p.SpecGoroutine().Stack {
		host, _, module := strings.Cut(frame.Function, "/")
		if module && strings.Contains(host, ".") && !strings.HasPrefix(frame.Function, "github.com/onsi/") {
			return fmt.Sprintf(", and it was at %s:%d", frame.Filename, frame.Line)
		}
	}
	return ""
}
