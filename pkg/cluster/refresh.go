// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/thicket-cni/thicket/pkg/foreign"
)

// maxManifest is the largest file that is read as a manifest, in bytes.
const maxManifest = 4 << 20

// settleTime is how long after a file's last change its times are trusted to
// show the next one: the clocks of file systems tick, and two writes of the
// same length within a tick leave no trace in size and times.
const settleTime = time.Second

// stamp tells one state of a file from another without reading it.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.mtime, s.ctime = st.Dev, st.Ino, st.Mtim, st.Ctim
	}
	return s
}

// manifest is one file as it was read last.
type manifest struct {
	stamp   stamp
	settled bool // stamp shows every later change
	sum     [sha256.Size]byte
	problem string // why the file could not be read, "" when it could
	objects []object
}

// refresh re-reads what changed in the directory and returns what Waiting says.
func (d *Directory) refresh() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names, err := manifestNames(d.dir)
	if err != nil {
		d.forget(err)
		return d.waiting
	}
	changed := d.waiting != "" || d.pods == nil
	d.waiting = ""
	for name := range d.files {
		if _, still := slices.BinarySearch(names, name); !still {
			delete(d.files, name)
			changed = true
		}
	}
	for _, name := range names {
		if d.read(name) {
			changed = true
		}
	}
	if changed {
		d.index()
	}
	if !d.isReady {
		d.isReady = true
		close(d.ready)
	}
	return ""
}

// manifestNames lists the files in dir that may be manifests, in order.
func manifestNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || e.IsDir() {
			continue // editors' and atomic writers' temporary files; status/
		}
		switch filepath.Ext(name) {
		case ".yaml", ".yml", ".json":
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// forget drops every object because the directory cannot be read.
func (d *Directory) forget(err error) {
	what := fmt.Sprintf("directory %s, which cannot be read: %v", d.dir, err)
	if errors.Is(err, fs.ErrNotExist) {
		what = fmt.Sprintf("directory %s, which does not exist yet", d.dir)
		if d.isReady {
			what = fmt.Sprintf("directory %s, which does not exist any more", d.dir)
		}
	}
	if what != d.waiting {
		d.log.Warn("pods and network definitions are not known", "waitingFor", what)
	}
	d.waiting = what
	clear(d.files)
	clear(d.pods)
	clear(d.definitions)
}

// read brings one file up to date and says whether its objects changed.
func (d *Directory) read(name string) bool {
	old := d.files[name]
	path := filepath.Join(d.dir, name)
	info, err := os.Stat(path) // through symlinks: mounted configuration is made of them
	if err == nil && old != nil && old.settled && old.stamp == stampOf(info) {
		return false
	}
	now := &manifest{}
	var data []byte
	if err == nil {
		data, err = now.load(path)
	}
	d.files[name] = now
	if errors.Is(err, fs.ErrNotExist) && !linked(path) {
		delete(d.files, name) // it went after the directory was listed
		return old != nil
	}
	if err != nil {
		var atPath *fs.PathError
		if errors.As(err, &atPath) {
			err = atPath.Err // the path is said already
		}
		if now.problem = err.Error(); old == nil || old.problem != now.problem {
			d.log.Error("manifest cannot be read", "error", fmt.Sprintf("%s: %v", path, err))
		}
		return old == nil || len(old.objects) > 0
	}
	if now.sum = sha256.Sum256(data); old != nil && old.problem == "" && old.sum == now.sum {
		now.objects = old.objects
		return false
	}
	var problems []string
	now.objects, problems = parse(path, data, d.log)
	for _, p := range problems {
		d.log.Error("manifest is left out", "error", p)
	}
	return true
}

// linked says whether path still has an entry: a symlink that leads nowhere.
func linked(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// load reads the file and stamps it with the state that was read.
func (m *manifest) load(path string) ([]byte, error) {
	start := time.Now()
	f, info, err := foreign.Open(path, foreign.FollowLinks)
	if errors.Is(err, fs.ErrInvalid) {
		return nil, errors.New("not a regular file; only files and links to files are manifests")
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	m.stamp = stampOf(info)
	m.settled = start.Sub(time.Unix(m.stamp.ctime.Unix())) > settleTime
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("larger than %d MiB; split it into several files", maxManifest>>20)
	}
	return data, nil
}

// index makes the objects of all files known. Of two that define the same
// object the first one, by file name and place in the file, counts.
func (d *Directory) index() {
	former := d.pods
	d.pods, d.definitions = map[key]*Pod{}, map[key]*Definition{}
	said, first := map[string]bool{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		for _, o := range d.files[name].objects {
			id := fmt.Sprintf("%s %s/%s", o.kind, o.key.namespace, o.key.name)
			if place, taken := first[id]; taken {
				what := fmt.Sprintf("%s: %s is defined already at %s, which counts; remove one of them", o.place, id, place)
				if said[what] = true; !d.duplicates[what] {
					d.log.Error("manifest is left out", "error", what)
				}
				continue
			}
			first[id] = o.place
			if o.pod != nil {
				d.pods[o.key] = o.pod
			} else {
				d.definitions[o.key] = o.definition
			}
		}
	}
	d.duplicates = said
	d.noteChanges(former)
}
