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
	return &Store{path: path, root: root, cni: cni, dir: &dirSync{root: root, sync: (*os.File).Sync}, log: log}, nil
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
// exist which the ledger does not know (RES-01).
func (s *Store) Begin(r *Record) error {
	r.Created = time.Now().UTC()
	if err := s.write(r, true); err != nil {
		return err
	}
	if err := s.keepBegun(r.ContainerID); err != nil {
		return err
	}
	if err := s.dir.wait(); err != nil {
		return fmt.Errorf("ledger %s cannot be synced: %w", s.path, err)
	}
	return nil
}

// Save replaces the record and syncs nothing: a killed daemon loses nothing by
// that, and after a power cut every sandbox is gone and what Begin has synced
// is enough to delete all that it lists. Waiting for the disk here would cost
// every ADD and DEL more than all the rest of the ledger.
func (s *Store) Save(r *Record) error { return s.write(r, false) }

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
	// The temporary name is the container's own: its lock is held, and a
	// leftover of a crash is simply written over.
	tmp := temporary(r.ContainerID)
	if err := s.writeNew(tmp, buf.Bytes(), synced); err != nil {
		_ = s.root.Remove(tmp)
		return fmt.Errorf("the record of container %s cannot be written to %s: %w", r.ContainerID, s.path, err)
	}
	if err := s.root.Rename(tmp, r.ContainerID+suffix); err != nil {
		_ = s.root.Remove(tmp)
		return fmt.Errorf("the record of container %s cannot be put in place: %w", r.ContainerID, err)
	}
	return nil
}

func temporary(containerID string) string { return "." + containerID + temporarySuffix }

func (s *Store) writeNew(name string, data []byte, synced bool) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && synced {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Load reads the record of a container. It returns ErrNotFound when there is
// none, and a *DamagedError when there was one that cannot be used; the
// damaged file has then been set aside, now or earlier. Remove ends that.
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
		if r, err := s.restoreBegun(containerID); err == nil {
			return r, nil
		}
		return nil, damaged
	default:
		return nil, fmt.Errorf("the record of container %s cannot be read: %w", containerID, err)
	}
}

func (s *Store) read(containerID string) (*Record, error) {
	return s.readFile(containerID, containerID+suffix)
}

func (s *Store) readFile(containerID, name string) (*Record, error) {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecordSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxRecordSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", errUnusable, maxRecordSize)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if err := r.validate(containerID); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	return &r, nil
}

// Remove forgets a container. It needs no space on the disk (RES-03) and
// succeeds when there is no record.
func (s *Store) Remove(containerID string) error {
	if err := utils.ValidateContainerID(containerID); err != nil {
		return err
	}
	// In this order: what a crash leaves in between is still a record.
	if err := s.root.Remove(begun(containerID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the first record of container %s cannot be removed: %w", containerID, err)
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
