// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"sync"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profiles add and del: one request of a container at a time.
var locksMutants = []mutant.Mutant{
	{Name: "lock-per-daemon", Cases: []string{"ADD-10"}, Daemon: lockPerDaemon,
		Fault: "requests of different containers wait for each other"},
	{Name: "lock-missing", Cases: []string{"ADD-10", "DEL-08"}, Daemon: lockMissing,
		Fault: "requests of one container are served at the same time"},
	{Name: "lock-not-for-check", Cases: []string{"ADD-10"}, Daemon: lockNotForCheck,
		Fault: "CHECK does not wait for the container's other requests"},
}

func lockPerDaemon(a *seam.Assembly) {
	var mu sync.Mutex
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			return next.Add(ctx, r)
		}
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			mu.Lock()
			defer mu.Unlock()
			return next.Del(ctx, r)
		}
	})
}

// lockMissing has an engine for each request: each has locks of its own.
func lockMissing(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			return attach.New(o).Add(ctx, r)
		}
		h.OnDel = func(ctx context.Context, r *attach.Request) error { return attach.New(o).Del(ctx, r) }
		h.OnCheck = func(ctx context.Context, r *attach.Request) error { return attach.New(o).Check(ctx, r) }
	})
}

func lockNotForCheck(a *seam.Assembly) {
	a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
		h.OnCheck = func(ctx context.Context, r *attach.Request) error { return attach.New(o).Check(ctx, r) }
	})
}
