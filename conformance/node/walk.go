// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Walk calls f for everything below root, as filepath.WalkDir does, while a
// daemon may be at work there: an entry that goes away meanwhile is left out.
// f gets no error; its own fs.ErrNotExist means that the entry has gone.
func Walk(root string, f func(path string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = f(path, entry)
		}
		if path != root && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
