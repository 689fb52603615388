// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/tracing"
)

const (
	// pendingWorkers is how many pending DELs are carried out side by side.
	pendingWorkers = 4
	// pendingRetryMin and pendingRetryMax bound the pause before a DEL that
	// failed is tried again; the pause doubles each time.
	pendingRetryMin = time.Second
	pendingRetryMax = time.Minute
)

// followPending carries out the DELs that shims recorded while no daemon was
// there (SHIM-07): those that lie there at start, and those that a shim
// records just after, because it found the door shut a moment before.
func (d *Daemon) followPending(ctx context.Context) {
	changed, stop, err := watchPending(d.config.PendingDir)
	if err != nil {
		d.log.Error("pending DELs are carried out at start only", "directory", d.config.PendingDir, "error", err)
	} else {
		defer stop()
	}
	pause := pendingRetryMin
	for {
		failed := d.carryOut(ctx)
		var retry <-chan time.Time
		if failed > 0 {
			retry = time.After(pause)
			pause = min(2*pause, pendingRetryMax)
		} else {
			pause = pendingRetryMin
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-retry:
		}
	}
}

// watchPending tells of new files in the directory, which it makes so that
// there is something to watch. Events that come while nobody listens are
// folded into one.
func watchPending(dir string) (<-chan struct{}, func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, nil, err
	}
	if err := w.Add(dir); err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	changed := make(chan struct{}, 1)
	background.Start(nil, "watching pending DELs", func() error { tellCreated(w, changed); return nil })
	return changed, func() { _ = w.Close() }, nil
}

// tellCreated tells of new files until w is closed, and of what w may have
// missed: its error means that events were dropped.
func tellCreated(w *fsnotify.Watcher, changed chan<- struct{}) {
	for {
		select {
		case e, open := <-w.Events:
			if !open {
				return
			}
			if !e.Has(fsnotify.Create) {
				continue
			}
		case _, open := <-w.Errors:
			if !open {
				return
			}
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// carryOut runs every pending DEL and returns how many must be tried again.
func (d *Daemon) carryOut(ctx context.Context) (failed int) {
	paths, err := api.PendingFiles(d.config.PendingDir)
	if err != nil {
		d.log.Error("pending DELs cannot be listed", "error", err)
		return 1
	}
	var mu sync.Mutex
	workers := background.Group{Log: d.log}
	slots := make(chan struct{}, pendingWorkers)
	for _, path := range paths {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		workers.Start("pending DELs", func() {
			defer func() { <-slots }()
			err := background.Try(d.log, "pending DEL "+path, func() error { return d.carryOutOne(ctx, path) })
			if err != nil {
				d.log.Error("a pending DEL failed and will be tried again", "file", path, "error", err)
				mu.Lock()
				defer mu.Unlock()
				failed++
			}
		})
	}
	workers.Wait()
	return failed
}

func (d *Daemon) carryOutOne(ctx context.Context, path string) error {
	defer d.alone(path)()
	req, err := api.ReadPending(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return d.setPendingAside(path, err)
	}
	command, r, err := validate(req)
	if err != nil || command != "DEL" {
		return d.setPendingAside(path, fmt.Errorf("%s is no DEL that can be carried out: %w", command, err))
	}
	_, err = d.logged(tracing.FromVariables(ctx, req.Env), "pending", command, r, func(ctx context.Context) (*types100.Result, error) { return nil, d.engine.Del(ctx, r) })
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// largePending is the size, in bytes, from which on a pending DEL is read while
// no other one is (SEC-07).
const largePending = 64 << 10

// alone waits until no other large file is worked on, if path is large.
func (d *Daemon) alone(path string) (done func()) {
	if info, err := os.Lstat(path); err != nil || info.Size() <= largePending {
		return func() {}
	}
	d.largePending.Lock()
	return d.largePending.Unlock
}

// setPendingAside keeps a file that is not a pending DEL out of the way of others.
func (d *Daemon) setPendingAside(path string, reason error) error {
	kept := filepath.Join(filepath.Dir(path), ".damaged-"+filepath.Base(path))
	d.log.Error("unusable pending DEL set aside", "file", path, "kept", kept, "reason", reason)
	if err := os.Rename(path, kept); err != nil {
		return err
	}
	return d.boundPendingAside()
}

const (
	// maxPendingAside and maxPendingAsideBytes bound what is kept of unusable
	// files for a person to look at (RES-16).
	maxPendingAside      = 32
	maxPendingAsideBytes = 16 << 20
)

// boundPendingAside removes the oldest of the files that were set aside.
func (d *Daemon) boundPendingAside() error {
	paths, err := filepath.Glob(filepath.Join(d.config.PendingDir, ".damaged-*"))
	if err != nil {
		return err
	}
	files := map[string]fs.FileInfo{}
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil {
			files[path] = info
		}
	}
	newest := slices.SortedFunc(maps.Keys(files), func(a, b string) int { return files[b].ModTime().Compare(files[a].ModTime()) })
	var size int64
	for i, path := range newest {
		if size += files[path].Size(); i >= maxPendingAside || size > maxPendingAsideBytes {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}
