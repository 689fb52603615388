// SPDX-License-Identifier: Apache-2.0

// Package brief cuts texts that somebody else has written, such as a delegate's
// error, before they fill a log, an event or an answer (SEC-12).
package brief

import (
	"fmt"
	"strings"
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
