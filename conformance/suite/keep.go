// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// prepareKeep makes the directory for what cases made. What is in it stays.
func (o *Options) prepareKeep() error {
	if o.Keep == "" {
		return nil
	}
	if err := os.MkdirAll(o.Keep, 0o700); err != nil {
		return fmt.Errorf("the directory for what the cases made: %w", err)
	}
	return nil
}

// remove removes a case's directory, or moves it to where it is kept: below the
// case's id, with a number behind it when there is one already.
func (s *session) remove(dir, id string) {
	defer func() { _ = os.RemoveAll(dir) }() // mounts of a case that was killed may be in it
	if s.Keep == "" {
		return
	}
	to := filepath.Join(s.Keep, id)
	for n := 2; ; n++ {
		err := os.Mkdir(to, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			fmt.Fprintln(os.Stderr, "conformance: what case", id, "made is not kept:", err)
			return
		}
		to = filepath.Join(s.Keep, fmt.Sprintf("%s.%d", id, n))
	}
	if err := move(dir, to); err != nil {
		fmt.Fprintln(os.Stderr, "conformance: not all that case", id, "made is kept:", err)
	}
}

// move moves what is in a directory into another, which is empty: by rename or,
// to another file system, by copying directories, files and links.
func move(from, to string) error {
	if err := os.Rename(from, to); err == nil {
		return nil
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		return CopyEntry(path, filepath.Join(to, strings.TrimPrefix(path, from)), entry.Type())
	})
}

// CopyEntry copies a file or a link, or makes a directory like it. Anything else is
// left out: sockets and pipes are of no use without their processes.
func CopyEntry(from, to string, kind fs.FileMode) error {
	switch kind {
	case fs.ModeDir:
		return os.MkdirAll(to, 0o700)
	case fs.ModeSymlink:
		link, err := os.Readlink(from)
		if err == nil {
			err = os.Symlink(link, to)
		}
		return err
	case 0:
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		return err
	}
	return nil
}
