// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile security: files that others may have written.
var filesMutants = []mutant.Mutant{
	{Name: "device-description-opened", Cases: []string{"SEC-15"}, Daemon: onDescriptions(func(path string, info fs.FileInfo) {
		if info.Mode()&fs.ModeNamedPipe != 0 {
			_, _ = os.ReadFile(path)
		}
	}), Fault: "a device's description is opened whatever it is, a pipe that nobody writes too"},
	{Name: "device-description-through-link", Cases: []string{"SEC-15"}, Daemon: onDescriptions(func(path string, info fs.FileInfo) {
		target, err := os.Stat(path)
		if info.Mode()&fs.ModeSymlink == 0 || err != nil || !target.Mode().IsRegular() {
			return
		}
		if data, err := os.ReadFile(path); err == nil && os.Remove(path) == nil {
			_ = os.WriteFile(path, data, 0o600)
		}
	}), Fault: "a device's description is read through a link"},
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
