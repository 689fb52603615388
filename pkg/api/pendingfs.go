// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// makeDirDurable makes dir and what is missing above it, mode 0700, and makes each new entry durable: a record in a
// directory that a loss of power takes away does not record anything.
func makeDirDurable(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil // what it is, openPrivateDir judges
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir:
		if err := makeDirDurable(filepath.Dir(dir)); err != nil {
			return err
		}
		if err = os.Mkdir(dir, 0o700); errors.Is(err, fs.ErrExist) {
			err = nil // another shim was faster
		}
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// openPrivateDir opens dir when nobody else can have put anything into it. The root that it returns stays that
// directory even if the path is given to another meanwhile. A directory that others may list is somebody's choice and
// stays as it is: the files in it are private all the same (SEC-09).
func openPrivateDir(dir string) (*os.Root, error) {
	want, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !want.IsDir() {
		return nil, fmt.Errorf("it is not a directory (%s)", want.Mode().Type())
	}
	if err := ownedByUs(want); err != nil {
		return nil, err
	}
	if want.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("its mode is %#o: others may write to it; make it 0700", want.Mode().Perm())
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	got, err := root.Stat(".")
	if err == nil && !os.SameFile(want, got) {
		err = errors.New("it was replaced while it was opened")
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

// writeDurable makes the file name with this content and forces it to the disk.
func writeDurable(root *os.Root, name string, content []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(content); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes the names in the directory durable.
func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// readPrivateFile reads a regular file that only its owner can have written, through no symlink.
func readPrivateFile(path string) ([]byte, error) {
	// Without O_NONBLOCK the opening of a FIFO would block for ever.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := ownedByUs(info); err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("it is not a regular file (%s)", info.Mode().Type())
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("its mode is %#o: others may write to it", info.Mode().Perm())
	case info.Size() > maxPendingSize:
		return nil, fmt.Errorf("it is longer than %d bytes", maxPendingSize)
	}
	return io.ReadAll(io.LimitReader(file, maxPendingSize))
}

// ownedByUs refuses what belongs to anybody but this process's user, which is root outside of tests.
func ownedByUs(info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("it does not belong to uid %d", os.Geteuid())
	}
	return nil
}
