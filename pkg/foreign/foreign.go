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

	"golang.org/x/sys/unix"
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
	f, info, err := Open(path, links)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, tooLarge(path, most)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, tooLarge(path, most)
	}
	return data, err
}

// Open opens a regular file for reading, and returns what it is. Anything else is
// an error that wraps fs.ErrInvalid and is not opened at all: to open a device may
// be to use it. A link that is not followed is an error that wraps ELOOP.
func Open(path string, links Links) (*os.File, fs.FileInfo, error) {
	flags := unix.O_PATH | unix.O_CLOEXEC
	if links == NoLinks {
		flags |= unix.O_NOFOLLOW
	}
	found, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, nil, err
	}
	defer found.Close()
	info, err := found.Stat()
	switch {
	case err != nil:
		return nil, nil, err
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
	case !info.Mode().IsRegular():
		return nil, nil, &kindError{path, kindOf(info.Mode())}
	}
	// The very file that was looked at, whatever the path leads to by now.
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", found.Fd()), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), info, nil
}

// kindError says what lies at a path in place of a regular file.
type kindError struct{ path, kind string }

// Error implements error.
func (e *kindError) Error() string {
	return fmt.Sprintf("%s is not a regular file but a %s", e.path, e.kind)
}

// Is makes it an fs.ErrInvalid.
func (e *kindError) Is(target error) bool { return target == fs.ErrInvalid }

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
