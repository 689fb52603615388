// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/network"
)

// shimError says that a plugin is a shim, under whatever name (SEC-09).
type shimError struct{ cni *types.Error }

// Error is the CNI error's.
func (e *shimError) Error() string { return e.cni.Error() }

// Unwrap returns the CNI error, whose code is 7.
func (e *shimError) Unwrap() error { return e.cni }

func isShimError(err error) bool {
	var shim *shimError
	return errors.As(err, &shim)
}

func refuseShim(plugin string) error {
	return &shimError{types.NewError(types.ErrInvalidNetworkConfig,
		fmt.Sprintf("plugin type %q is a shim, which hands over to a daemon like this one; it cannot be a delegate", plugin), "")}
}

// shims remembers which executables are shims: what a file is does not change
// as long as nobody writes it.
type shims struct{ known sync.Map }

// executable is the state of a file that was looked at.
type executable struct {
	dev, ino uint64
	size     int64
	changed  time.Time
}

// has reports whether the file at a path is a shim, by the name that its links
// end at or by the program that it was built of.
func (s *shims) has(file string) bool {
	now, ok := stateOf(file)
	if !ok {
		return false
	}
	if shim, known := s.known.Load(now); known {
		return shim.(bool)
	}
	shim := builtAsShim(file)
	s.known.Store(now, shim)
	return shim
}

// cleared reports whether the file at a path has been looked at in its present state
// and is not a shim.
func (s *shims) cleared(file string) bool {
	now, ok := stateOf(file)
	if !ok {
		return false
	}
	shim, known := s.known.Load(now)
	return known && !shim.(bool)
}

// stateOf is the state of a file, which is not ok when there is none.
func stateOf(file string) (now executable, ok bool) {
	info, err := os.Stat(file)
	if err != nil {
		return executable{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return executable{}, false
	}
	return executable{dev: stat.Dev, ino: stat.Ino, size: stat.Size, changed: time.Unix(stat.Ctim.Unix())}, true
}

// builtAsShim reads what a Go program says of itself. What says nothing is
// judged by its name alone.
func builtAsShim(file string) bool {
	if target, err := filepath.EvalSymlinks(file); err == nil && network.IsShimName(filepath.Base(target)) {
		return true
	}
	built, err := buildinfo.ReadFile(file)
	return err == nil && network.IsShimName(path.Base(built.Path))
}
