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
