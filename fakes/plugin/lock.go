// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// locked calls f while this process alone has the directory, which it makes.
// The lock ends with the process, however that ends. A directory that is empty
// afterwards is removed.
func locked(dir string, f func() error) error {
	d, err := lock(dir)
	if err != nil {
		return fmt.Errorf("lock %s: %w", dir, err)
	}
	defer func() { _ = d.Close() }()
	err = f()
	// It fails when the directory has something in it.
	_ = unix.Rmdir(dir)
	return err
}

// lock opens the directory and waits until nobody else has it. The one that it
// waited for may have removed it.
func lock(dir string) (*os.File, error) {
	for {
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return nil, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
			return nil, err
		}
		d, err := os.Open(dir)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for err = unix.EINTR; errors.Is(err, unix.EINTR); {
			err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		}
		if err == nil && same(d, dir) {
			return d, nil
		}
		if err := errors.Join(err, d.Close()); err != nil {
			return nil, err
		}
	}
}

// same reports whether the open directory is still the one at the path.
func same(d *os.File, path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	opened, err := d.Stat()
	return err == nil && os.SameFile(there, opened)
}
