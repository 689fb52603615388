// SPDX-License-Identifier: Apache-2.0

// Package foreign reads files in directories that others may write: device
// plugins, an administrator, a pod with a volume of the node (SEC-15). What lies
// there may be a pipe that nobody writes, a device, a link to somebody's secret,
// or larger than memory.
package foreign

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Links says whether a link at the path is followed.
type Links bool

// What a link means depends on who may put it there.
const (
	// NoLinks is for directories that not only root may write.
	NoLinks Links = false
	// FollowLinks is for an administrator's, where mounted configuration is made
	// of links.
	FollowLinks Links = true
)

// ReadFile reads a regular file of at most so many bytes. It waits for nobody.
func ReadFile(path string, most int64, links Links) ([]byte, error) {
	flags := os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY
	if links == NoLinks {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file but a %s", path, kindOf(info.Mode()))
	case info.Size() > most:
		return nil, tooLarge(path, most)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, tooLarge(path, most)
	}
	return data, err
}

func tooLarge(path string, most int64) error {
	return fmt.Errorf("%s is larger than %d bytes", path, most)
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	default:
		return "special file"
	}
}
