// SPDX-License-Identifier: Apache-2.0

// Package room makes room on the first goroutine's stack while it is nearly empty. It imports nothing and its path comes
// early in lexical order, so that Go initializes it before the packages that would have the stack copied to one of twice
// its size, and to another, and again (The Go Programming Language Specification, "Program initialization").
package room

var _ = deepen(0)

// deepen has a frame as large as all that follows needs. The array in it is never made.
//
//go:noinline
func deepen(i int) byte {
	if i < 0 {
		var room [24 << 10]byte
		return room[-i%len(room)]
	}
	return 0
}
