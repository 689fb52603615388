// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile security: files that others may have written.
var filesMutants = []mutant.Mutant{
	{Name: "device-description-opened", Cases: sec15, Daemon: onDescriptions(func(path string, info fs.FileInfo) {
		if info.Mode()&fs.ModeNamedPipe != 0 {
			_, _ = os.ReadFile(path)
		}
	}), Fault: "a device's description is opened whatever it is, a pipe that nobody writes too"},
	{Name: "device-description-through-link", Cases: sec15, Daemon: onDescriptions(func(path string, info fs.FileInfo) {
		target, err := os.Stat(path)
		if info.Mode()&fs.ModeSymlink == 0 || err != nil || !target.Mode().IsRegular() {
			return
		}
		if data, err := os.ReadFile(path); err == nil && os.Remove(path) == nil {
			_ = os.WriteFile(path, data, 0o600)
		}
	}), Fault: "a device's description is read through a link"},
	{Name: "manifest-opened", Cases: sec15, Daemon: beforeLookup(opened), Fault: "a manifest is opened whatever it is, a pipe that nobody writes too"},
	{Name: "manifest-shown", Cases: sec15, Daemon: beforeLookup(shown), Fault: "the log shows what a link among the manifests leads to"},
	{Name: "run-directory-opened", Cases: sec15, Unserved: true, Daemon: func(a *seam.Assembly) {
		a.OnStart(func() error { return each(a.Config.SocketDir, opened) })
	}, Fault: "files in the run directory are opened whatever they are"},
	{Name: "cache-directory-opened", Cases: sec15, Unserved: true, Daemon: func(a *seam.Assembly) {
		a.OnStart(func() error { return each(a.Config.CNIDir, opened) })
	}, Fault: "files in the cache directory are opened whatever they are"},
	{Name: "cache-directory-shown", Cases: sec15, Daemon: func(a *seam.Assembly) {
		a.OnStart(func() error { return each(a.Config.CNIDir, shown) })
	}, Fault: "the log shows what a link in the cache directory leads to"},
	{Name: "cached-results-opened", Cases: sec15, Daemon: func(a *seam.Assembly) {
		a.OnGC(func(ctx context.Context, r *attach.Request, next daemon.Engine, _ attach.Options) error {
			_ = each(filepath.Join(a.Config.CNIDir, "results"), opened)
			return next.GC(ctx, r)
		})
	}, Fault: "GC waits for a pipe where cached results would be"},
	{Name: "node-configuration-opened", Cases: sec15, Daemon: func(a *seam.Assembly) {
		if a.Config.MultusConfigFile != "" {
			a.OnEnd(func() error { return each(a.Config.CNIConfigDir, opened) })
		}
	}, Fault: "a daemon that ends waits for a pipe beside its CNI configuration"},
}

var sec15 = []string{"SEC-15"}

// opened waits for whoever writes a pipe.
func opened(path string, info fs.FileInfo) {
	if info.Mode()&fs.ModeNamedPipe != 0 {
		_, _ = os.ReadFile(path)
	}
}

// shown prints what a link leads to.
func shown(path string, info fs.FileInfo) {
	target, err := os.Stat(path)
	if info.Mode()&fs.ModeSymlink == 0 || err != nil || !target.Mode().IsRegular() {
		return
	}
	if data, err := os.ReadFile(path); err == nil {
		fmt.Fprintf(os.Stderr, "%s cannot be used: %q\n", path, data)
	}
}

// each has f called with everything in a directory and below it, and with what
// lies in its place.
func each(dir string, f func(path string, info fs.FileInfo)) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it went meanwhile
		}
		if info, err := entry.Info(); err == nil {
			f(path, info)
		}
		return nil
	})
}

// beforeLookup has f called with each manifest before a pod is looked up.
func beforeLookup(f func(path string, info fs.FileInfo)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		dir := a.Config.Cluster.Directory
		a.OnLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
			_ = each(dir, f)
			return next.Pod(ctx, namespace, name)
		})
	}
}

// onDescriptions has f called with each description of a device before an ADD.
func onDescriptions(f func(path string, info fs.FileInfo)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
			h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
				paths, _ := filepath.Glob(filepath.Join(a.Config.DeviceInfoDir, "dp", "*"))
				for _, path := range paths {
					if info, err := os.Lstat(path); err == nil {
						f(path, info)
					}
				}
				return next.Add(ctx, r)
			}
		})
	}
}
