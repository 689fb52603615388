// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/thicket-cni/thicket/pkg/foreign"
)

const (
	// lockPatience is how long a daemon waits for another one that is writing
	// in the same directory, which takes milliseconds.
	lockPatience = 5 * time.Second
	lockPoll     = 10 * time.Millisecond
	// temporary is what the names of files in the making begin with and end
	// with: no runtime loads a file of that name.
	temporaryPrefix, temporarySuffix = ".", ".thicket-tmp"
	// maxFile is the largest configuration that is read, in bytes.
	maxFile = 4 << 20
)

// file is a configuration in the runtime's directory, which other daemons may
// replace or remove. It remembers the very file that it wrote: only that one
// is this daemon's to remove (SOCK-11).
type file struct {
	path    string
	content []byte
	info    os.FileInfo // of what was written last; nil before that
}

// write replaces the file whole: whoever reads at any moment finds the old
// content or the new.
func (f *file) write(ctx context.Context, content []byte) error {
	unlock, err := lockDir(ctx, filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer unlock()
	f.sweep()
	pattern := temporaryPrefix + filepath.Base(f.path) + ".*" + temporarySuffix
	out, err := os.CreateTemp(filepath.Dir(f.path), pattern)
	if err != nil {
		return err
	}
	_, err = out.Write(content)
	if err == nil {
		err = out.Sync()
	}
	info, statErr := out.Stat()
	err = errors.Join(err, statErr, out.Close())
	if err == nil {
		err = os.Rename(out.Name(), f.path)
	}
	if err != nil {
		_ = os.Remove(out.Name())
		return err
	}
	f.content, f.info = content, info
	return syncDir(filepath.Dir(f.path))
}

// sweep removes what daemons that were killed while they wrote have left. The
// directory's lock is held, so nobody is writing now.
func (f *file) sweep() {
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.path), temporaryPrefix+"*"+temporarySuffix))
	for _, path := range left {
		if strings.HasPrefix(filepath.Base(path), temporaryPrefix+filepath.Base(f.path)) {
			_ = os.Remove(path)
		}
	}
}

// intact says whether the file is still the one that was written, with this
// content.
func (f *file) intact(content []byte) bool {
	if !f.own() || !bytes.Equal(content, f.content) {
		return false
	}
	now, err := foreign.ReadFile(f.path, maxFile, foreign.NoLinks)
	return err == nil && bytes.Equal(now, content)
}

// own says whether what lies at the path is what this daemon wrote last. A
// file's number is used again as soon as the file is gone, so the time of its
// writing is compared too.
func (f *file) own() bool {
	now, err := os.Lstat(f.path)
	return err == nil && f.info != nil && os.SameFile(now, f.info) && now.ModTime().Equal(f.info.ModTime())
}

// remove takes the file away if it is this daemon's own. The directory's lock
// keeps another daemon from putting its own there between the look and the
// removal.
func (f *file) remove(ctx context.Context) error {
	if f.info == nil {
		return nil
	}
	unlock, err := lockDir(ctx, filepath.Dir(f.path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	if !f.own() {
		return nil
	}
	return os.Remove(f.path)
}

// lockDir takes the lock of a directory in which daemons replace each other's
// files. It leaves nothing behind and goes with the process.
func lockDir(ctx context.Context, path string) (unlock func(), err error) {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("directory %s cannot be locked: %w", path, err), dir.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("directory %s is locked by another process: %w", path, context.Cause(ctx)), dir.Close())
		case <-time.After(lockPoll):
		}
	}
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
