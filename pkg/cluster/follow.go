// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long Run waits after a change for the rest of it, so that a
// file that is being written in place is not reported half-way.
const quiet = 50 * time.Millisecond

// Run follows the changes of the directory, so that invalid manifests are
// reported when they are written and Ready is closed when the directory
// appears. It returns nil when ctx ends; an error means that the kernel
// refuses to watch.
func (d *Directory) Run(ctx context.Context) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching %s: %w; raise fs.inotify.max_user_instances", d.dir, err)
	}
	defer func() { _ = w.Close() }()
	f := &follower{dir: d.dir, watcher: w}
	if err := f.arm(); err != nil {
		return err
	}
	d.refresh()
	var settled <-chan time.Time // nil while nothing changes
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.Events:
			if !f.concerns(e.Name) {
				continue
			}
		case err := <-w.Errors:
			d.log.Warn("changes of manifests may have been missed; all of them are read again", "error", err)
		case <-settled:
			settled = nil
			d.refresh()
			continue
		}
		if err := f.arm(); err != nil {
			return err
		}
		if settled == nil {
			settled = time.After(quiet)
		}
	}
}

// follower keeps watches on a directory and on the nearest parent that exists,
// which shows the directory being made, removed and replaced.
type follower struct {
	dir     string
	watcher *fsnotify.Watcher
	parent  string // the parent that is watched
}

// arm watches what exists now. A parent may appear between two looks, so it
// looks again until the nearest one stays the nearest.
func (f *follower) arm() error {
	for {
		nearest, err := f.watchParent()
		if err != nil {
			return err
		}
		if f.parent != "" && f.parent != nearest {
			// An error says that it is not watched any more, which is wanted.
			_ = f.watcher.Remove(f.parent)
		}
		moved := f.parent != nearest
		f.parent = nearest
		if !moved {
			break
		}
	}
	if _, err := f.watch(f.dir); err != nil {
		return err
	}
	return nil
}

// watchParent watches the nearest parent that exists.
func (f *follower) watchParent() (string, error) {
	for p := filepath.Dir(f.dir); ; p = filepath.Dir(p) {
		ok, err := f.watch(p)
		if ok || err != nil {
			return p, err
		}
	}
}

// watch adds a watch; a path that is no directory yet is not an error.
func (f *follower) watch(path string) (bool, error) {
	err := f.watcher.Add(path)
	switch {
	case err == nil:
		return true, nil
	case path != "/" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		return false, nil
	case errors.Is(err, syscall.ENOSPC):
		return false, fmt.Errorf("watching %s: %w; raise fs.inotify.max_user_watches", path, err)
	}
	return false, fmt.Errorf("watching %s: %w", path, err)
}

// concerns says whether an event is of the directory, of what is in it, or of
// a parent on the way to it. A busy parent's other files are none of ours.
func (f *follower) concerns(name string) bool {
	name = filepath.Clean(name)
	return filepath.Dir(name) == f.dir || name == f.dir || strings.HasPrefix(f.dir, name+"/")
}
