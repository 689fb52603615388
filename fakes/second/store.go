// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// record is what is kept of one attachment by the runtime: the default network's
// and its further ones.
type record struct {
	Container, IfName string
	Netns             string
	// NetnsID and Folder are the identities of the namespace and of the directory
	// that its path is in, at ADD.
	NetnsID, Folder string
	// Boot is the boot in which it was attached.
	Boot string
	Pod  podRef
	Args [][2]string
	// Complete is set when ADD was answered with success.
	Complete bool
	Networks []*attached
}

func (r *record) key() string {
	if broken("short-keys") {
		return strings.ToLower(r.Container[:min(12, len(r.Container))]) + "/" + r.IfName
	}
	return r.Container + "/" + r.IfName
}

// attached is one network of a record.
type attached struct {
	// Name is the network's in the status.
	Name   string
	IfName string
	// List is the configuration list as the delegates got it.
	List         json.RawMessage
	Capabilities map[string]any `json:",omitempty"`
	Plugged      bool           `json:",omitempty"`
	// Instance is the daemon that plugged it.
	Instance string `json:",omitempty"`
	Default  bool   `json:",omitempty"`
	// Gateways are those of the selection's default-route.
	Gateways []string        `json:",omitempty"`
	Result   json.RawMessage `json:",omitempty"`
}

// database keeps records as bytes by their keys. Nothing stays open between two
// calls: another daemon may have it, too, while one follows the other.
type database interface {
	load() (map[string][]byte, error)
	// change writes values, and deletes the keys whose value is nil.
	change(map[string][]byte) error
}

// store is the database of records, with something put by for a full disk.
type store struct {
	db     database
	dir    string
	mu     sync.Mutex
	warned map[string]bool
}

// ballastSize is what a DEL may need to write on a full disk (RES-03).
const ballastSize = 96 << 10

func openStore(dir, kind string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &store{dir: dir, db: &jsonFile{filepath.Join(dir, "records.json")}, warned: map[string]bool{}}
	if kind == "bolt" {
		s.db = &boltFile{filepath.Join(dir, "records.db")}
	}
	s.fillBallast()
	if _, err := s.db.load(); err != nil {
		s.setAside(err)
	}
	return s, nil
}

func (s *store) ballast() string { return filepath.Join(s.dir, "ballast") }

// fillBallast writes as much of the ballast as there is space for.
func (s *store) fillBallast() {
	if info, err := os.Lstat(s.ballast()); err == nil && info.Size() >= ballastSize {
		return
	}
	f, err := os.OpenFile(s.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	for size, _ := f.Seek(0, 2); size < ballastSize; size += 4096 {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}

// setAside keeps a database that cannot be read, once, and begins a new one.
func (s *store) setAside(why error) {
	path := map[bool]string{true: filepath.Join(s.dir, "records.db"), false: filepath.Join(s.dir, "records.json")}[isBolt(s.db)]
	slog.Error("the database is damaged and was set aside", "file", path, "kept", path+".damaged", "why", why)
	_ = os.RemoveAll(path + ".damaged")
	if err := os.Rename(path, path+".damaged"); err != nil {
		slog.Error("the damaged database cannot be set aside", "why", err)
	}
}

func isBolt(db database) bool { _, bolt := db.(*boltFile); return bolt }

// all are the records, damaged ones left out.
func (s *store) all() ([]*record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.allLocked()
}

func (s *store) allLocked() ([]*record, error) {
	raw, err := s.db.load()
	if err != nil {
		s.setAside(err)
		return nil, nil
	}
	var all []*record
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		r := &record{}
		if err := json.Unmarshal(raw[key], r); err != nil || r.key() != key || slices.Contains(r.Networks, nil) {
			if !s.warned[key] {
				slog.Error("a record is damaged and passed over", "container", key, "why", err)
			}
			s.warned[key] = true
			continue
		}
		all = append(all, r)
	}
	return all, nil
}

// of are the records of one container.
func (s *store) of(container string) ([]*record, error) {
	all, err := s.all()
	return slices.DeleteFunc(all, func(r *record) bool { return r.Container != container }), err
}

// reserve fails unless there is space for an ADD: nothing may be attached that
// cannot be recorded.
func (s *store) reserve(bytes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, ".reserve")
	_ = os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(make([]byte, bytes))
		err = errors.Join(err, f.Close(), os.Remove(path))
	}
	if err != nil {
		return fmt.Errorf("no space to record the attachment: %w", err)
	}
	return nil
}

// put writes a record. frugal is for what must be written on a full disk as well.
func (s *store) put(r *record, frugal bool) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.change(map[string][]byte{r.key(): data}, frugal)
}

func (s *store) remove(r *record) error {
	if broken("keeps-records") {
		return nil
	}
	return s.change(map[string][]byte{r.key(): nil}, true)
}

func (s *store) change(values map[string][]byte, frugal bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.db.change(values)
	if err != nil && frugal && errors.Is(err, unix.ENOSPC) && !broken("no-ballast") {
		_ = os.Remove(s.ballast())
		err = s.db.change(values)
	}
	s.fillBallast()
	if err != nil {
		return fmt.Errorf("the database: %w", err)
	}
	return nil
}

// jsonFile is a database in one JSON file.
type jsonFile struct{ path string }

func (f *jsonFile) load() (map[string][]byte, error) {
	values := map[string]json.RawMessage{}
	data, err := readRegular(f.path, 64<<20)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err == nil && broken("reads-need-writes") {
		err = unix.Access(f.path, unix.W_OK)
	}
	if err == nil {
		err = json.Unmarshal(data, &values)
	}
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte, len(values))
	for key, value := range values {
		all[key] = value
	}
	return all, nil
}

func (f *jsonFile) change(values map[string][]byte) error {
	lock, err := os.OpenFile(f.path+".lock", os.O_CREATE|os.O_RDONLY|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	old, err := f.load()
	if err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	for key, value := range old {
		all[key] = value
	}
	for key, value := range values {
		if all[key] = value; value == nil {
			delete(all, key)
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return replaceFile(f.path, data, true)
}

// replaceFile writes a file whole, or not at all, and durably where that counts.
func replaceFile(path string, data []byte, durably bool) error {
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	mode := os.FileMode(0o600)
	if broken("records-for-all") {
		mode = 0o644
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if durably {
		err = errors.Join(err, f.Sync())
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	if !durably {
		return nil
	}
	return syncDir(filepath.Dir(path))
}

// boltFile is a database of bbolt.
type boltFile struct{ path string }

var bucket = []byte("records")

// open opens the database; reading only, as a disk that became read-only would
// make it look damaged (HOT-10).
func (f *boltFile) open(readOnly bool) (*bbolt.DB, error) {
	if info, err := os.Lstat(f.path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %s, not a file", f.path, info.Mode())
	}
	db, err := bbolt.Open(f.path, 0o600, &bbolt.Options{Timeout: 10 * time.Second, ReadOnly: readOnly})
	if err != nil || readOnly {
		return db, err
	}
	// bbolt syncs the file that it makes, and not its name (fsync(2)).
	if err := syncDir(filepath.Dir(f.path)); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (f *boltFile) load() (all map[string][]byte, err error) {
	if _, err := os.Lstat(f.path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	defer recovered(&err)
	db, err := f.open(true)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	all = map[string][]byte{}
	err = db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, value []byte) error {
			all[string(key)] = slices.Clone(value)
			return nil
		})
	})
	return all, err
}

func (f *boltFile) change(values map[string][]byte) (err error) {
	defer recovered(&err)
	db, err := f.open(false)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		for key, value := range values {
			switch {
			case err != nil:
			case value == nil:
				err = b.Delete([]byte(key))
			default:
				err = b.Put([]byte(key), value)
			}
		}
		return err
	})
}

// recovered turns a panic into an error: bbolt panics on some damaged files.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%v", p)
	}
}

// readRegular reads a file that others may have put there: no link, no pipe, no
// more than limit bytes.
func readRegular(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is %s, not a file", path, info.Mode())
	case info.Size() > limit:
		return nil, fmt.Errorf("%s has %d bytes; the limit is %d", path, info.Size(), limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}
