// SPDX-License-Identifier: Apache-2.0

package node

import "testing"

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, line string
		want          bool
	}{
		{"link br*", "link br0 bridge up mtu 1500", true},
		{"link br", "link br0 bridge up mtu 1500", false},
		{"nft table ip x", "nft table ip x chain y rule accept", true},
		{"nft table ip x$", "nft table ip x chain y rule accept", false},
		{"nft table ip x$", "nft table ip x", true},
		{"nft table ip x chain *$", "nft table ip x chain y", true},
	} {
		if got := Matches(c.pattern, c.line); got != c.want {
			t.Errorf("%q and %q: %v, want %v", c.pattern, c.line, got, c.want)
		}
	}
}
