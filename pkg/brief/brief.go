// SPDX-License-Identifier: Apache-2.0

// Package brief cuts texts that somebody else has written, such as a delegate's
// error, before they fill a log, an event or an answer (SEC-12), and keeps what
// would steer a terminal from being printed.
package brief

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Line is how many bytes of such a text go into a log line or an event.
const Line = 1 << 10

// Cut returns a text of at most so many bytes, which says how much is missing of
// one that was longer.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	mark := fmt.Sprintf(" … (cut; %d bytes in all)", len(text))
	kept := strings.ToValidUTF8(text[:max(0, most-len(mark))], "")
	return kept + mark
}

// Plain returns a text as a terminal may be shown it: what cannot be printed,
// but ends of lines and tabs, is written as in a Go string.
func Plain(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

// Shown is a text as an event or a line on a terminal has it: in one line of at
// most Line bytes.
func Shown(text string) string { return Cut(PlainLine(Cut(text, Line)), Line) }

// PlainLine is Plain for what has to stay in its line.
func PlainLine(text string) string { return strings.ReplaceAll(Plain(text), "\n", `\n`) }
