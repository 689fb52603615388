// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// Entry is one file of a ledger as List finds it.
type Entry struct {
	ContainerID string
	// Record is nil when Err says why it cannot be read.
	Record *Record
	Err    error
}

// List reads the ledger below cniDir for a person, as Each does.
func List(cniDir string) (entries []Entry, err error) {
	err = Each(cniDir, func(e Entry) { entries = append(entries, e) })
	return entries, err
}

// Each reads the files of the ledger below cniDir one after the other: it changes
// nothing, sets nothing aside, and may be called beside a running daemon.
func Each(cniDir string, f func(Entry)) error {
	path := filepath.Join(cniDir, directory)
	root, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer root.Close()
	s := &Store{path: path, root: root, log: slog.New(slog.DiscardHandler)}
	ids, err := s.Containers()
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := s.read(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		f(Entry{ContainerID: id, Record: r, Err: err})
	}
	return nil
}

// Count is how many records there are, and how many damaged ones whose
// container has not been deleted, for metrics; -1 where that cannot be read.
func (s *Store) Count() (kept, damaged int) {
	kept, damaged = -1, -1
	if ids, err := s.Containers(); err == nil {
		kept = len(ids)
	}
	if entries, err := fs.ReadDir(s.root.FS(), damagedDirectory); err == nil {
		damaged = 0
		for _, e := range entries {
			if filepath.Ext(e.Name()) == suffix {
				damaged++
			}
		}
	}
	return kept, damaged
}
