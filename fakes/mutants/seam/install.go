// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// InstallInPlace writes into the installed shim instead of replacing it.
func InstallInPlace(shim, dest string) error {
	return copyFile(shim, filepath.Join(dest, filepath.Base(shim)))
}

// InstallRemovesFirst removes the installed shim before it puts the new one there.
func InstallRemovesFirst(shim, dest string) error {
	target := filepath.Join(dest, filepath.Base(shim))
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	time.Sleep(300 * time.Millisecond) // a slow disk
	return copyFile(shim, target)
}

// InstallLeavesTemporary leaves a temporary file beside the installed shim.
func InstallLeavesTemporary(shim, dest string) error {
	file, err := os.CreateTemp(dest, ".new-*")
	if err != nil {
		return err
	}
	target := filepath.Join(dest, "."+filepath.Base(shim))
	return errors.Join(file.Close(), copyFile(shim, target), os.Rename(target, filepath.Join(dest, filepath.Base(shim))))
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// PendingKept puts the record that led to a DEL back when the daemon stops: the
// next one carries it out once more.
func PendingKept(a *Assembly) {
	var mu sync.Mutex
	kept := map[string][]byte{}
	a.Hook(func(h *Hooks, next daemon.Engine, _ attach.Options) {
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			files, _ := api.PendingFiles(a.Config.PendingDir)
			for _, f := range files {
				req, err := api.ReadPending(f)
				if err != nil || req.Env["CNI_CONTAINERID"] != r.ContainerID {
					continue
				}
				if data, err := os.ReadFile(f); err == nil {
					mu.Lock()
					kept[f] = data
					mu.Unlock()
				}
			}
			return next.Del(ctx, r)
		}
	})
	a.OnEnd(func() error {
		mu.Lock()
		defer mu.Unlock()
		var failures []error
		for f, data := range kept {
			failures = append(failures, os.WriteFile(f, data, 0o600))
		}
		return errors.Join(failures...)
	})
}

// DelNeedsNetns refuses a DEL without CNI_NETNS.
func DelNeedsNetns(a *Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if req := Decode(r); req != nil && req.Env["CNI_COMMAND"] == "DEL" && req.Env["CNI_NETNS"] == "" {
			AnswerError(w, http.StatusBadRequest, 4, "CNI_NETNS is missing")
			return
		}
		next.ServeHTTP(w, r)
	})
}
