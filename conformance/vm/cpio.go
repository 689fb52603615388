// SPDX-License-Identifier: Apache-2.0

package vm

import (
	"fmt"
	"io"
	"path"
	"slices"
)

// archive writes an initramfs, in the form "newc" of cpio(5). The kernel takes
// several after each other.
type archive struct {
	w       io.Writer
	inode   int
	written int64
	made    map[string]bool
	err     error
}

func newArchive(w io.Writer) *archive { return &archive{w: w, made: map[string]bool{}} }

// The types of entries, and the permissions that all of them have.
const (
	typeDirectory = 0o040755
	typeFile      = 0o100755
	typeCharacter = 0o020600
)

// file adds a file, with the directories above it.
func (a *archive) file(name string, content []byte) {
	a.directories(name)
	a.entry(name, typeFile, content, 0, 0)
}

// device adds a character device, with the directories above it.
func (a *archive) device(name string, major, minor int) {
	a.directories(name)
	a.entry(name, typeCharacter, nil, major, minor)
}

// directories adds those above a name that are not there yet.
func (a *archive) directories(name string) {
	for _, dir := range slices.Backward(above(name)) {
		if !a.made[dir] {
			a.made[dir] = true
			a.entry(dir, typeDirectory, nil, 0, 0)
		}
	}
}

// above are the directories of a path, the deepest first.
func above(name string) []string {
	var dirs []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

// end writes the entry that ends an archive.
func (a *archive) end() error {
	a.entry("TRAILER!!!", 0, nil, 0, 0)
	return a.err
}

// entry writes a header of 110 bytes, the name and the content, each padded to a
// multiple of four bytes.
func (a *archive) entry(name string, mode int, content []byte, major, minor int) {
	a.inode++
	a.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0, name))
	a.write(content)
}

func (a *archive) write(data []byte) {
	const unit = 4
	if a.err != nil {
		return
	}
	n, err := a.w.Write(data)
	if a.err = err; err != nil {
		return
	}
	a.written += int64(n)
	n, a.err = a.w.Write(make([]byte, (unit-a.written%unit)%unit))
	a.written += int64(n)
}
