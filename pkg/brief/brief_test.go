// SPDX-License-Identifier: Apache-2.0

package brief

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCut(t *testing.T) {
	if got := Cut("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
	for most := 40; most < 60; most++ {
		got := Cut(strings.Repeat("ä", 600), most)
		if len(got) > most || !utf8.ValidString(got) || !strings.HasSuffix(got, " … (cut; 1200 bytes in all)") {
			t.Errorf("%d: got %q", most, got)
		}
	}
}

func TestShown(t *testing.T) {
	if got := Shown("a\nb"); got != `a\nb` {
		t.Errorf("got %q", got)
	}
	got := Shown(strings.Repeat("\x1b", 2*Line))
	if len(got) > Line || !strings.HasPrefix(got, `\x1b\x1b`) || !strings.Contains(got, "(cut; ") {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"größe 🙂\n\tnext": "größe 🙂\n\tnext",
		"a\x1b[2J\r\x00":  `a\x1b[2J\r\x00`, "\u009b1m\x7f\u202e": `\u009b1m\x7f\u202e`,
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := PlainLine("here\n::error::forged"); got != `here\n::error::forged` {
		t.Errorf("got %q", got)
	}
}
