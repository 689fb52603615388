// SPDX-License-Identifier: Apache-2.0

// Package dirwatch tells when something changes in directories, which need not
// exist yet and may go away and come back: their nearest parents that exist
// are watched too.
package dirwatch

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/thicket-cni/thicket/pkg/background"
)

// quiet is how long a Watcher waits after a change for the rest of it, so that
// a file that is being written in place is not reported half-way.
const quiet = 50 * time.Millisecond

// Watcher watches directories until it is closed.
type Watcher struct {
	dirs    []string
	log     *slog.Logger
	kernel  *fsnotify.Watcher
	changed chan struct{}
	closed  chan struct{}
	err     error // set before changed is closed
}

// New watches directories, given by absolute paths. What changes after it
// returned is told; its error means that the kernel refuses to watch, and
// names the limit to raise.
func New(log *slog.Logger, dirs ...string) (*Watcher, error) {
	kernel, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w; raise fs.inotify.max_user_instances", strings.Join(dirs, ", "), err)
	}
	w := &Watcher{log: log, kernel: kernel, changed: make(chan struct{}, 1), closed: make(chan struct{})}
	for _, dir := range dirs {
		w.dirs = append(w.dirs, filepath.Clean(dir))
	}
	if err := w.arm(); err != nil {
		return nil, errors.Join(err, kernel.Close())
	}
	background.Start(log, "watching directories", func() error { w.run(); return nil })
	return w, nil
}

// Changed gets a value a moment after something changed. Changes that come
// while nobody listens are folded into one. It is closed when the directories
// cannot be watched any more, which Err explains.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Err says why Changed was closed; nil before that, and after Close.
func (w *Watcher) Err() error {
	select {
	case <-w.closed:
		return w.err
	default:
		return nil
	}
}

// Close ends the watching and closes Changed.
func (w *Watcher) Close() error {
	err := w.kernel.Close()
	<-w.closed
	return err
}

func (w *Watcher) run() {
	defer close(w.changed)
	defer close(w.closed)
	defer func() { _ = w.kernel.Close() }()
	var settled <-chan time.Time // nil while nothing changes
	for {
		select {
		case e, open := <-w.kernel.Events:
			if !open {
				return
			}
			if !w.concerns(e.Name) {
				continue
			}
		case err, open := <-w.kernel.Errors:
			if !open {
				return
			}
			w.log.Warn("changes may have been missed; everything is read again", "directories", w.dirs, "error", err)
		case <-settled:
			settled = nil
			select {
			case w.changed <- struct{}{}:
			default:
			}
			continue
		}
		if err := w.arm(); err != nil {
			if !errors.Is(err, fsnotify.ErrClosed) {
				w.err = err
			}
			return
		}
		if settled == nil {
			settled = time.After(quiet)
		}
	}
}

// arm watches what exists now. A directory may appear between two looks, so it
// looks again until nothing new is found.
func (w *Watcher) arm() error {
	var wanted map[string]bool
	for {
		found, err := w.watchAll()
		if err != nil {
			return err
		}
		if maps.Equal(found, wanted) {
			break
		}
		wanted = found
	}
	for _, path := range w.kernel.WatchList() {
		if !wanted[path] {
			// An error says that it is not watched any more, which is wanted.
			_ = w.kernel.Remove(path)
		}
	}
	return nil
}

// watchAll watches each directory and its nearest parent that exists, which
// shows the directory being made, removed and replaced.
func (w *Watcher) watchAll() (map[string]bool, error) {
	watched := map[string]bool{}
	for _, dir := range w.dirs {
		for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
			ok, err := w.watch(p)
			if err != nil {
				return nil, err
			}
			if ok {
				watched[p] = true
				break
			}
		}
		ok, err := w.watch(dir)
		if err != nil {
			return nil, err
		}
		if ok {
			watched[dir] = true
		}
	}
	return watched, nil
}

// watch adds a watch; a path that is not a directory yet is not an error.
func (w *Watcher) watch(path string) (bool, error) {
	err := w.kernel.Add(path)
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

// concerns says whether an event is of a directory, of what is in it, or of a
// parent on the way to it. A busy parent's other files are none of ours.
func (w *Watcher) concerns(name string) bool {
	name = filepath.Clean(name)
	return slices.ContainsFunc(w.dirs, func(dir string) bool {
		return filepath.Dir(name) == dir || name == dir || strings.HasPrefix(dir, name+"/")
	})
}
