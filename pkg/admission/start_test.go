// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"reflect"
	"strings"
	"testing"
)

// TestUnwritten has the mappings of a program whose relocations were written to a
// part that is read-only since, once swapped out, and the one of another file.
func TestUnwritten(t *testing.T) {
	const smaps = `00400000-00e63000 r-xp 00000000 fe:00 123456                             /bin/thicketd
Size:              10636 kB
Rss:                8192 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
00e64000-01900000 r--p 00a64000 fe:00 123456                             /bin/thicketd
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
01900000-01a00000 r--p 01500000 fe:00 123456                             /bin/thicketd
Anonymous:             8 kB
Swap:                  0 kB
VmFlags: rd mr mw me sd
01980000-01a00000 r--p 01580000 fe:00 123456                             /bin/thicketd
Anonymous:             0 kB
Swap:                  4 kB
VmFlags: rd mr mw me sd
01a00000-01b00000 rw-p 01600000 fe:00 123456                             /bin/thicketd
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
01b00000-01c00000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
7f0000000000-7f0000001000 r--p 00000000 fe:00 77                         /lib/other
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me sd
`
	want := []mapping{{0x400000, 0xe63000}, {0xe64000, 0x1900000}}
	if got := unwritten(strings.NewReader(smaps), "/bin/thicketd"); !reflect.DeepEqual(got, want) {
		t.Errorf("released are %x, want %x", got, want)
	}
}

// TestReleaseStart goes on afterwards.
func TestReleaseStart(t *testing.T) {
	if err := ReleaseStart(); err != nil {
		t.Fatal(err)
	}
}
