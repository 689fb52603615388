// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Empty takes away what is in a directory, as a reboot does of one whose file
// system is in memory: what is mounted there first.
func Empty(dir string) error {
	mounts, err := mountPoints()
	if err != nil {
		return err
	}
	for _, m := range slices.Backward(mounts) {
		if m != dir && within(m, dir) {
			if err := unix.Unmount(m, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) { // another mount took it along
				return fmt.Errorf("unmount %s: %w", m, err)
			}
		}
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}
