// SPDX-License-Identifier: Apache-2.0

package powercut

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// block is what a disk writes at once, in bytes.
const block = 4096

// loss is what becomes of a file's bytes that no fsync has made durable.
type loss int

const (
	// kept: all of them are there.
	kept loss = iota
	// gone: it is as if they had never been written.
	gone
	// zeroed: the file has its length, and zeros.
	zeroed
	// torn: the first block of each write is there, and zeros follow.
	torn
	// reordered: the first write's bytes are zeros, later ones are there.
	reordered

	losses = iota
)

func (l loss) String() string {
	return [...]string{"all bytes", "no unsynced bytes", "unsynced bytes are zeros", "the first block of each unsynced write", "all unsynced bytes but those of a file's first write"}[l]
}

// State is what a machine finds that lost power.
type State struct {
	// After is the number of changes that had been done.
	After int
	// What says what of them is there, for people.
	What string
	// Extreme means that all changes of names that were not durable are there, or
	// none: where most programs that are wrong show it.
	Extreme bool

	entries map[string]*entry
}

// entry is a name.
type entry struct {
	directory bool
	mode      uint32
	target    string // of a symbolic link
	file      uint64
	data      []byte
}

// States returns what may be found after each of the changes, each state once
// for each number of changes, in order.
func States(changes []*Change) []*State {
	var all []*State
	for after := range len(changes) + 1 {
		seen := map[[sha256.Size]byte]bool{}
		done := changes[:after]
		names := namesOf(done)
		durable := durableNames(done)
		for there := durable; there <= len(names); there++ {
			for bytes := kept; bytes < losses; bytes++ {
				s := build(done, names[:there], bytes)
				if sum := s.sum(); !seen[sum] {
					seen[sum] = true
					s.What = describe(done, len(names)-there, bytes)
					s.Extreme = there == durable || there == len(names)
					all = append(all, s)
				}
			}
		}
	}
	return all
}

func describe(done []*Change, missing int, bytes loss) string {
	last := "nothing"
	if len(done) > 0 {
		last = done[len(done)-1].String()
	}
	return fmt.Sprintf("after change %d (%s): %s, without the last %d changes of names and lengths", len(done), last, bytes, missing)
}

func namesOf(changes []*Change) []*Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool { return !c.directory() })
}

// durableNames is how many changes of names are durable: those before the last
// fsync of a directory.
func durableNames(changes []*Change) int {
	count, durable := 0, 0
	for _, c := range changes {
		switch {
		case c.directory():
			count++
		case c.kind == syncDir:
			durable = count
		}
	}
	return durable
}

// build makes the state in which so many changes of names are durable, and the
// bytes that were not synced are lost in one way.
func build(done, names []*Change, bytes loss) *State {
	s := &State{After: len(done), entries: map[string]*entry{}}
	contents := contentsOf(done, names, bytes)
	for _, c := range names {
		s.apply(c)
	}
	for _, e := range s.entries {
		if !e.directory && e.target == "" {
			e.data = contents[e.file]
		}
	}
	return s
}

func (s *State) apply(c *Change) {
	switch c.kind {
	case create:
		s.entries[c.path] = &entry{file: c.file, mode: c.mode}
	case mkdir:
		s.entries[c.path] = &entry{directory: true, mode: c.mode}
	case symlink:
		s.entries[c.path] = &entry{target: c.to}
	case link:
		s.entries[c.to] = s.entries[c.path]
	case remove:
		delete(s.entries, c.path)
	case rename:
		for _, path := range slices.Collect(maps.Keys(s.entries)) {
			if rest, below := strings.CutPrefix(path, c.path); below && (rest == "" || rest[0] == '/') {
				s.entries[c.to+rest] = s.entries[path]
				delete(s.entries, path)
			}
		}
	}
}

// contentsOf is what files have in them.
func contentsOf(done, names []*Change, bytes loss) map[uint64][]byte {
	synced := map[uint64]int{}
	for at, c := range done {
		if c.kind == syncFile {
			synced[c.file] = at
		}
	}
	contents, begun := map[uint64][]byte{}, map[uint64]bool{}
	for at, c := range done {
		switch {
		case c.kind == create || c.kind == truncate && slices.Contains(names, c):
			contents[c.file] = resized(contents[c.file], int(c.offset))
		case c.kind != write:
		default:
			last, ever := synced[c.file]
			how := bytes
			if ever && at < last {
				how = kept
			} else if how == reordered && begun[c.file] {
				how = kept
			}
			if !ever || at >= last {
				begun[c.file] = true
			}
			contents[c.file] = how.write(contents[c.file], c)
		}
	}
	return contents
}

// write returns a file's bytes after a write, of which some are lost.
func (l loss) write(old []byte, c *Change) []byte {
	if l == gone {
		return old
	}
	now := resized(old, max(len(old), int(c.offset)+len(c.data)))
	switch l {
	case kept:
		copy(now[c.offset:], c.data)
	case torn:
		// Blocks begin where the file's do.
		first := block - int(c.offset)%block
		copy(now[c.offset:], c.data[:min(first, len(c.data))])
		clear(now[min(int(c.offset)+first, len(now)):min(int(c.offset)+len(c.data), len(now))])
	case zeroed, reordered:
		clear(now[c.offset : int(c.offset)+len(c.data)])
	}
	return now
}

func resized(old []byte, size int) []byte {
	now := make([]byte, size)
	copy(now, old)
	return now
}

// sum tells states apart.
func (s *State) sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, path := range s.Paths() {
		s.entries[path].sum(h, path)
	}
	h.Sum(sum[:0])
	return sum
}

func (e *entry) sum(h hash.Hash, path string) {
	fmt.Fprintf(h, "%q %v %o %q %d\n", path, e.directory, e.mode, e.target, len(e.data))
	_, _ = h.Write(e.data)
}

// Paths are the names that are there, in lexical order, so that a directory comes
// before what is in it.
func (s *State) Paths() []string { return slices.Sorted(maps.Keys(s.entries)) }

// Write makes the state in a directory, which has to be empty.
func (s *State) Write(dir string) error {
	for _, path := range s.Paths() {
		e, at := s.entries[path], filepath.Join(dir, path)
		var err error
		switch {
		case e.directory:
			err = os.Mkdir(at, os.FileMode(e.mode&0o777))
		case e.target != "":
			err = os.Symlink(e.target, at)
		default:
			err = os.WriteFile(at, e.data, os.FileMode(e.mode&0o777))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.What, err)
		}
	}
	return nil
}
