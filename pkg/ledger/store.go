// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/utils"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/background"
)

const (
	directory        = "ledger"
	damagedDirectory = "damaged"
	suffix           = ".json"
	temporarySuffix  = ".tmp"
	// maxSteps is how many bytes of steps a file may have, beyond once more its
	// own size, before it begins anew: a DEL that fails for days adds a step with
	// every attempt.
	maxSteps = 128 << 10
	// MaxLimit is the largest limit that Bound takes: any file within it is read.
	MaxLimit = maxFile / 4
	// DefaultLimit is the largest record, in bytes, of a Store that is not told.
	DefaultLimit = 4 << 20
)

// ErrNotFound says that the ledger has no record of the container.
var ErrNotFound = errors.New("no record of this container")

// Store is the directory of records. Its methods may be called concurrently
// for different containers; for one container the caller holds its lock.
type Store struct {
	path string
	root *os.Root
	// cni is the directory above, where Multus keeps its own records.
	cni  *os.Root
	dir  *dirSync
	log  *slog.Logger
	kept *keeper
	// limit is the largest file that is written, in bytes; see Bound.
	limit int64

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
	s := &Store{path: path, root: root, cni: cni, dir: &dirSync{root: root, sync: (*os.File).Sync}, log: log, kept: &keeper{}, limit: DefaultLimit}
	if s.aside, err = damagedFiles(root); err != nil {
		return nil, fmt.Errorf("the damaged records in %s cannot be listed: %w", path, err)
	}
	return s, nil
}

// Bound sets how large a record may become, in bytes, up to MaxLimit. One that
// would be larger is not written: the error wraps ErrTooLarge.
func (s *Store) Bound(limit int64) { s.limit = min(limit, MaxLimit) }

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
	if r.Created.IsZero() {
		r.Created = time.Now().UTC()
	}
	return s.write(r, true)
}

// Save adds what has changed of the record and syncs nothing: a killed daemon
// loses nothing by that, and after a power cut every sandbox is gone and what
// Begin has synced is enough to delete all that it lists. Waiting for the disk
// here would cost every ADD and DEL more than all the rest of the ledger.
func (s *Store) Save(r *Record) error { return s.write(r, false) }

// write adds a step to a record's file, or begins that file.
func (s *Store) write(r *Record, synced bool) error {
	if err := utils.ValidateContainerID(r.ContainerID); err != nil {
		return err
	}
	r.Schema = SchemaVersion
	r.Updated = time.Now().UTC()
	if err := r.validate(r.ContainerID, r.file.checked()); err != nil {
		return fmt.Errorf("the record of container %s is not written, as it could not be read: %w", r.ContainerID, err)
	}
	added, err := s.appendStep(r, synced)
	if err == nil && !added {
		err = s.begin(r, synced)
	}
	if err != nil {
		return fmt.Errorf("the record of container %s cannot be written to %s: %w", r.ContainerID, s.path, err)
	}
	return nil
}

// appendStep adds a step to a record's file. It is false when there is no such
// file, one that somebody else has changed, or one that has grown too long: then
// a file has to begin. Of a step that does not fit on the disk nothing stays.
func (s *Store) appendStep(r *Record, synced bool) (added bool, err error) {
	if r.file == nil {
		return false, nil
	}
	document, then, err := r.file.next(r)
	if err != nil {
		return false, err
	}
	if then.steps == 0 {
		return false, nil
	}
	data, err := encode(document)
	if err != nil {
		return false, err
	}
	size := r.file.size + int64(len(data))
	if size > 2*r.file.base+maxSteps || size > max(s.limit, r.file.base)+maxSteps {
		return false, nil
	}
	f, err := s.root.OpenFile(r.ContainerID+suffix, os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, nil // what keeps it from being opened keeps it from being replaced, too, or does not matter
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != r.file.size {
		return false, err
	}
	if _, err := f.Write(data); err != nil {
		return false, errors.Join(err, f.Truncate(info.Size()))
	}
	then.size, then.base = size, r.file.base
	r.file = then
	if synced {
		err = f.Sync()
	}
	s.kept.keep(r, f)
	return true, err
}

// begin makes a record's file, in place of the one that may lie there, of a
// whole document.
func (s *Store) begin(r *Record, synced bool) error {
	document, then, err := (*written)(nil).next(r)
	if err != nil {
		return err
	}
	data, err := encode(document)
	if err != nil {
		return err
	}
	// A record that is larger already, an earlier daemon's, may become smaller.
	if limit := max(s.limit, s.size(r.ContainerID)); int64(len(data)) > limit {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d (recordLimit)", ErrTooLarge, len(data), limit)
	}
	// The temporary name is the container's own: its lock is held, and a
	// leftover of a crash is simply written over.
	tmp := temporary(r.ContainerID)
	f, err := s.createNew(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = s.place(f, tmp, r.ContainerID+suffix, synced)
	}
	if err != nil {
		_ = s.root.Remove(tmp)
		return errors.Join(err, f.Close())
	}
	then.size, then.base = int64(len(data)), int64(len(data))
	r.file = then
	s.kept.keep(r, f)
	return f.Close()
}

// size is the length of a container's file, 0 when there is none.
func (s *Store) size(containerID string) int64 {
	info, err := s.root.Lstat(containerID + suffix)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Size returns how many bytes are kept of a container, here and by a Multus
// that ran before.
func (s *Store) Size(containerID string) int64 {
	if utils.ValidateContainerID(containerID) != nil {
		return 0
	}
	size := s.size(containerID)
	if info, err := s.cni.Lstat(containerID); err == nil && info.Mode().IsRegular() {
		size += info.Size()
	}
	return size
}

// place gives a file its name, and makes both durable if that is asked for. A file
// that replaces another is synced before, in any case: a power cut must leave one
// of them (RES-15). Where there is none before, file and directory are synced at
// once, which costs the disk once.
func (s *Store) place(f *os.File, tmp, name string, synced bool) error {
	_, err := s.root.Lstat(name)
	fresh := errors.Is(err, fs.ErrNotExist)
	if !fresh {
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

// Load reads the record of a container. It returns ErrNotFound when there is
// none, and a *DamagedError when there was one that cannot be used; the damaged
// file has then been set aside, now or earlier. Remove ends that. Where only the
// last steps are damaged, the file is set aside too, and what it said before
// them takes its place.
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

// restore puts what was good of a damaged file in its place. It counts
// as added: its sandbox may be running, and must not be taken for the half of
// an ADD that a replay would delete.
func (s *Store) restore(r *Record) error {
	r.State = StateAdded
	if err := s.Save(r); err != nil {
		return err
	}
	s.settle(r.ContainerID)
	s.log.Warn("what the record said earlier takes the place of a damaged one", "sandbox", r.ContainerID)
	return nil
}

// read returns what a container's file says, from memory while the file is
// unchanged. When a part of it is damaged, the error says so, and the record is the
// last good one, nil when there is none.
func (s *Store) read(containerID string) (*Record, error) {
	name := containerID + suffix
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is a %s", errUnusable, info.Mode().Type())
	}
	if r := s.kept.find(containerID, info); r != nil {
		return r, nil
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%w: larger than %d bytes", errUnusable, maxFile)
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := decodeFile(containerID, f, info.Size())
	if err != nil {
		return r.record, err
	}
	r.record.file = r.written(info.Size())
	return r.record, nil
}

// Remove forgets a container. It needs no space on the disk (RES-03) and
// succeeds when there is no record.
func (s *Store) Remove(containerID string) error {
	if err := utils.ValidateContainerID(containerID); err != nil {
		return err
	}
	if err := s.unlink(containerID + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the record of container %s cannot be removed: %w", containerID, err)
	}
	s.kept.forget(containerID)
	s.settle(containerID)
	return s.removeMultus(containerID)
}

// unlink removes a name, and leaves to another goroutine to free what it stood for:
// ext4 waits for the disk when it frees a file, which takes ten times as long as
// the removal, and no DEL depends on it.
func (s *Store) unlink(name string) error {
	f, err := s.root.OpenFile(name, unix.O_PATH|syscall.O_NOFOLLOW, 0)
	if err == nil {
		defer func() { background.Start(s.log, "freeing a removed record", f.Close) }()
	}
	return s.root.Remove(name)
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
