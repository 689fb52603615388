// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReleaseStart unmaps what the start has read of the executable: a daemon that
// serves uses a part of it, and the rest would count as the daemon's memory for
// ever, some 10 MiB. What is used again is mapped again. Only mappings that the
// kernel says nobody has written to are released.
func ReleaseStart() error {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("the executable: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return fmt.Errorf("the executable's mappings: %w", err)
	}
	for _, m := range unwritten(bytes.NewReader(maps), own) {
		// What is mapped there is the file's, and this process' own code: x/sys
		// takes only memory that it has mapped itself.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// unwritten lists the mappings of a file, in the format of /proc/PID/smaps, that
// cannot be written to and have no page that differs from the file.
func unwritten(smaps io.Reader, file string) []mapping {
	var all []mapping
	var now *mapping
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) < 2:
		case !strings.HasSuffix(fields[0], ":"):
			now = nil
			if len(fields) == 6 && fields[5] == file && len(fields[1]) == 4 && fields[1][1] == '-' {
				now = parseRange(fields[0])
			}
		case (fields[0] == "Anonymous:" || fields[0] == "Swap:") && fields[1] != "0":
			now = nil
		case fields[0] == "VmFlags:" && now != nil: // the last line of a mapping
			all = append(all, *now)
		}
	}
	return all
}

func parseRange(text string) *mapping {
	from, to, _ := strings.Cut(text, "-")
	begin, err := strconv.ParseUint(from, 16, strconv.IntSize)
	if err != nil {
		return nil
	}
	end, err := strconv.ParseUint(to, 16, strconv.IntSize)
	if err != nil {
		return nil
	}
	return &mapping{uintptr(begin), uintptr(end)}
}
