// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// maxAsideFiles and maxAsideBytes bound what is kept of damaged files for a
	// person to look at (RES-16). A file beyond them goes, oldest first; while its
	// container's DEL is still to come it stays, emptied, as the mark of that.
	maxAsideFiles = 64
	maxAsideBytes = 32 << 20
	// maxAsideMarks bounds the marks.
	maxAsideMarks = 4096
)

// asideFile is a damaged file that is kept.
type asideFile struct {
	name    string
	size    int64
	age     int64 // later ones are larger
	settled bool
}

// boundAside keeps the damaged files within their bounds.
func (s *Store) boundAside() {
	files, err := s.asideFiles()
	if err != nil {
		s.log.Warn("damaged records cannot be listed; too many of them may be kept", "error", err)
		return
	}
	slices.SortFunc(files, func(a, b asideFile) int { // what goes first comes last
		switch {
		case a.settled != b.settled && a.settled:
			return 1
		case a.settled != b.settled:
			return -1
		case a.age > b.age:
			return -1
		default:
			return 1
		}
	})
	var bytes int64
	for i, f := range files {
		bytes += f.size
		if i < maxAsideFiles && bytes <= maxAsideBytes {
			continue
		}
		if f.settled || i >= maxAsideMarks {
			err = s.root.Remove(f.name)
		} else if f.size > 0 {
			err = s.empty(f.name)
		}
		if err != nil {
			s.log.Warn("a damaged record stays although too much is kept", "file", f.name, "error", err)
		}
		_ = s.root.Remove(strings.TrimSuffix(f.name, settledSuffix) + reasonSuffix) // it may have gone before
	}
}

// empty leaves nothing but a file's name. The file may be a link.
func (s *Store) empty(name string) error {
	f, err := s.createNew(name)
	if err != nil {
		return err
	}
	return f.Close()
}

func (s *Store) asideFiles() ([]asideFile, error) {
	entries, err := fs.ReadDir(s.root.FS(), damagedDirectory)
	if err != nil {
		return nil, err
	}
	var files []asideFile
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), reasonSuffix) {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it went meanwhile
		}
		files = append(files, asideFile{
			name: filepath.Join(damagedDirectory, e.Name()), size: info.Size(), age: info.ModTime().UnixNano(),
			settled: strings.HasSuffix(e.Name(), settledSuffix),
		})
	}
	return files, nil
}
