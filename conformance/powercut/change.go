// SPDX-License-Identifier: Apache-2.0

package powercut

import (
	"fmt"
	"time"
)

// kind is what a change does.
type kind int

const (
	create kind = iota
	mkdir
	symlink
	link
	rename
	remove
	truncate
	write
	syncFile
	syncDir
)

// Change is one operation of a program on the file system.
type Change struct {
	kind kind
	// At is when it was done.
	At time.Time
	// path is the name that it is about, relative to the file system; to is the
	// new name of a rename or a link, and the target of a symbolic link.
	path, to string
	// file is the number of the file that it is about.
	file uint64
	// offset and data are a write's; offset is the length after a truncation.
	offset int64
	data   []byte
	mode   uint32
}

// directory reports whether a change is one of names or lengths, which become
// durable in their order.
func (c *Change) directory() bool { return c.kind <= truncate }

// String says what was done, for people.
func (c *Change) String() string {
	switch c.kind {
	case create:
		return "create " + c.path
	case mkdir:
		return "mkdir " + c.path
	case symlink:
		return "symlink " + c.path + " to " + c.to
	case link:
		return "link " + c.path + " as " + c.to
	case rename:
		return "rename " + c.path + " to " + c.to
	case remove:
		return "remove " + c.path
	case truncate:
		return fmt.Sprintf("truncate %s to %d bytes", c.path, c.offset)
	case write:
		return fmt.Sprintf("write %d bytes at %d of %s", len(c.data), c.offset, c.path)
	case syncFile:
		return "fsync " + c.path
	default:
		return "fsync of directory " + c.path
	}
}
