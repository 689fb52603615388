// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/utils"
)

const (
	directory        = "ledger"
	damagedDirectory = "damaged"
	suffix           = ".json"
	temporarySuffix  = ".tmp"
	// maxRecordSize bounds what a damaged or foreign file can cost to read.
	maxRecordSize = 16 << 20
	// maxVersions is how large a file may become before its last version alone
	// is kept: a DEL that fails for days adds one with every attempt.
	maxVersions = 128 << 10
)

// ErrNotFound says that the ledger has no record of the container.
var ErrNotFound = errors.New("no record of this container")

// Store is the directory of records. Its methods may be called concurrently
// for different containers; for one container the caller holds its lock.
type Store struct {
	path string
	root *os.Root
	// cni is the directory above, where Multus keeps its own records.
	cni *os.Root
	dir *dirSync
	log *slog.Logger

	mu sync.Mutex
	// aside lists, by container, the damaged files of those that are not
	// deleted yet, as paths in root.
	aside map[string][]string
}

// Open opens the ledger below cniDir and creates it when it is missing. A
// ledger directory that is a symbolic link, or not root's alone, is refused
// (SEC-03): whoever can write there decides what runs as root.
func Open(cniDir string, log *slog.Logger) (*Store, error) {
	path := filepath.Join(cniDir, directory)
	for _, dir := range []string{path, filepath.Join(path, damagedDirectory)} {
		if err := ensurePrivate(dir); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	cni, err := os.OpenRoot(cniDir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	s := &Store{path: path, root: root, cni: cni, dir: &dirSync{root: root, sync: (*os.File).Sync}, log: log}
	if s.aside, err = damagedFiles(root); err != nil {
		return nil, fmt.Errorf("the damaged records in %s cannot be listed: %w", path, err)
	}
	return s, nil
}

func ensurePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("ledger directory %s cannot be created: %w; make its file system writable or set cniDir to another path", dir, err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	stat, _ := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("ledger directory %s is a %s; remove it or set cniDir to another path", dir, info.Mode().Type())
	case stat != nil && stat.Uid != 0:
		return fmt.Errorf("ledger directory %s belongs to uid %d; it must be root's", dir, stat.Uid)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("ledger directory %s has mode %#o; others must not write there (chmod 0700)", dir, info.Mode().Perm())
	}
	return nil
}

// Begin writes the record durably: file and directory are synced before it
// returns. It is called before the first delegate runs, so that nothing can
// exist which the ledger does not know (RES-01). Of a record that cannot be
// made durable nothing stays, unless there was one before (RES-03).
func (s *Store) Begin(r *Record) error {
	r.Created = time.Now().UTC()
	return s.write(r, true)
}

// Save adds the record as it is now and syncs nothing: a killed daemon loses
// nothing by that, and after a power cut every sandbox is gone and what Begin
// has synced is enough to delete all that it lists. Waiting for the disk here
// would cost every ADD and DEL more than all the rest of the ledger.
func (s *Store) Save(r *Record) error { return s.write(r, false) }

// write adds a version of a record to its file, or begins that file.
func (s *Store) write(r *Record, synced bool) error {
	if err := utils.ValidateContainerID(r.ContainerID); err != nil {
		return err
	}
	r.Schema = SchemaVersion
	r.Updated = time.Now().UTC()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("the record of container %s cannot be encoded: %w", r.ContainerID, err)
	}
	added, err := s.appendVersion(r.ContainerID, buf.Bytes(), synced)
	if err == nil && !added {
		err = s.begin(r.ContainerID, buf.Bytes(), synced)
	}
	if err != nil {
		return fmt.Errorf("the record of container %s cannot be written to %s: %w", r.ContainerID, s.path, err)
	}
	return nil
}

// appendVersion adds a version to a record's file. It is false when there is no
// such file, none of the right kind, or one that has grown too long: then the
// version has to begin a file. Of a version that does not fit on the disk
// nothing stays.
func (s *Store) appendVersion(containerID string, version []byte, synced bool) (added bool, err error) {
	f, err := s.root.OpenFile(containerID+suffix, os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, nil // what keeps it from being opened keeps it from being replaced, too, or does not matter
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size()+int64(len(version)) > maxVersions {
		return false, err
	}
	if _, err := f.Write(version); err != nil {
		return false, errors.Join(err, f.Truncate(info.Size()))
	}
	if synced {
		return true, f.Sync()
	}
	return true, nil
}

// begin makes a record's file, in place of the one that may lie there, of its
// first version.
func (s *Store) begin(containerID string, version []byte, synced bool) error {
	// The temporary name is the container's own: its lock is held, and a
	// leftover of a crash is simply written over.
	tmp := temporary(containerID)
	f, err := s.createNew(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(version)
	if err == nil {
		err = s.place(f, tmp, containerID+suffix, synced)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = s.root.Remove(tmp)
	}
	return err
}

// place gives a file its name, and makes both durable. A file that replaces
// another is synced before: a power cut must leave one of them. Where there is
// none before, file and directory are synced at once, which costs the disk once.
func (s *Store) place(f *os.File, tmp, name string, synced bool) error {
	_, err := s.root.Lstat(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if synced && !fresh {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := s.root.Rename(tmp, name); err != nil || !synced {
		return err
	}
	directory := s.dir.ask()
	err = f.Sync()
	<-directory.done
	if err = errors.Join(err, directory.err); err != nil && fresh {
		err = errors.Join(err, s.root.Remove(name))
	}
	return err
}

func temporary(containerID string) string { return "." + containerID + temporarySuffix }

// createNew makes a file of its own, in place of whatever has its name.
func (s *Store) createNew(name string) (*os.File, error) {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
}

// Load reads the record of a container: its last version. It returns
// ErrNotFound when there is none, and a *DamagedError when there was one that
// cannot be used; the damaged file has then been set aside, now or earlier.
// Remove ends that. Where only the last versions are damaged, the file is set
// aside too, and the last good one takes its place.
func (s *Store) Load(containerID string) (*Record, error) {
	if err := utils.ValidateContainerID(containerID); err != nil {
		return nil, err
	}
	r, err := s.read(containerID)
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, s.missing(containerID)
	case isDamage(err):
		damaged := s.setAside(containerID, s.root, containerID+suffix, err)
		if r != nil && s.restore(r) == nil {
			return r, nil
		}
		return nil, damaged
	default:
		return nil, fmt.Errorf("the record of container %s cannot be read: %w", containerID, err)
	}
}

// restore puts the last good version in the place of a damaged file. It counts
// as added: its sandbox may be running, and must not be taken for the half of
// an ADD that a replay would delete.
func (s *Store) restore(r *Record) error {
	r.State = StateAdded
	if err := s.Save(r); err != nil {
		return err
	}
	s.settle(r.ContainerID)
	s.log.Warn("an earlier version of the record takes the place of a damaged one", "sandbox", r.ContainerID)
	return nil
}

// read returns the last version in a container's file. When that is damaged,
// the error says so, and the record is the last good one, nil when there is none.
func (s *Store) read(containerID string) (*Record, error) {
	f, err := s.root.OpenFile(containerID+suffix, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readWhole(f)
	if err != nil {
		return nil, err
	}
	if len(data) > maxRecordSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", errUnusable, maxRecordSize)
	}
	var damage error
	for {
		last := lastVersion(data)
		r, err := parseVersion(containerID, data[last:])
		if damage == nil {
			damage = err
		}
		if r != nil || last == 0 {
			return r, damage
		}
		data = data[:last]
	}
}

// readWhole reads a file up to one byte more than it may have.
func readWhole(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	buf.Grow(int(min(info.Size(), maxRecordSize)) + bytes.MinRead) // so that it is one read
	_, err = buf.ReadFrom(io.LimitReader(f, maxRecordSize+1))
	return buf.Bytes(), err
}

// lastVersion is where the last version in a record's file begins: at a line
// that is an opening brace and nothing else, of which each has one.
func lastVersion(data []byte) int {
	if at := bytes.LastIndex(data, []byte("\n{\n")); at >= 0 {
		return at + 1
	}
	return 0
}

// parseVersion decodes one version. It may return both a version and an error,
// which then is about what follows it: a power cut leaves zeros there.
func parseVersion(containerID string, data []byte) (*Record, error) {
	var r Record
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // capability arguments keep their digits (ADD-16)
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if err := r.validate(containerID); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if rest := bytes.TrimSpace(data[decoder.InputOffset():]); len(rest) > 0 {
		return &r, fmt.Errorf("%w: %d bytes after its last version are none", errUnusable, len(rest))
	}
	return &r, nil
}

// Remove forgets a container. It needs no space on the disk (RES-03) and
// succeeds when there is no record.
func (s *Store) Remove(containerID string) error {
	if err := utils.ValidateContainerID(containerID); err != nil {
		return err
	}
	if err := s.root.Remove(containerID + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the record of container %s cannot be removed: %w", containerID, err)
	}
	s.settle(containerID)
	return s.removeMultus(containerID)
}

// Sweep removes what a daemon that was killed while it wrote has left: records
// in the making, which nothing has been attached for yet (RES-01). Only the
// daemon that serves may call it, before it writes.
func (s *Store) Sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("ledger %s cannot be listed: %w", s.path, err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, ".") && strings.HasSuffix(name, temporarySuffix) {
			err = errors.Join(err, s.root.Remove(name))
		}
	}
	return err
}

// Containers lists the ids of all containers with a record, in lexical order.
func (s *Store) Containers() ([]string, error) {
	entries, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("ledger %s cannot be listed: %w", s.path, err)
	}
	var ids []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || e.IsDir() || utils.ValidateContainerID(id) != nil {
			continue
		}
		ids = append(ids, id)
	}
	return ids, nil
}
