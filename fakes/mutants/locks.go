// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profiles add and del: one request of a container at a time.
func init() {
	register(
		mutant{name: "lock-per-daemon", cases: []string{"ADD-10"}, daemon: lockPerDaemon,
			fault: "requests of different containers wait for each other"},
		mutant{name: "lock-missing", cases: []string{"ADD-10", "DEL-08"}, daemon: lockMissing,
			fault: "requests of one container are served at the same time"},
		mutant{name: "lock-not-for-check", cases: []string{"ADD-10"}, daemon: lockNotForCheck,
			fault: "CHECK does not wait for the container's other requests"},
	)
}

func lockPerDaemon(a *assembly) {
	var mu sync.Mutex
	a.hook(func(h *hooks, next daemon.Engine, _ attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			return next.Add(ctx, r)
		}
		h.del = func(ctx context.Context, r *attach.Request) error {
			mu.Lock()
			defer mu.Unlock()
			return next.Del(ctx, r)
		}
	})
}

// lockMissing has an engine for each request: each has locks of its own.
func lockMissing(a *assembly) {
	a.hook(func(h *hooks, _ daemon.Engine, o attach.Options) {
		h.add = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			return attach.New(o).Add(ctx, r)
		}
		h.del = func(ctx context.Context, r *attach.Request) error { return attach.New(o).Del(ctx, r) }
		h.check = func(ctx context.Context, r *attach.Request) error { return attach.New(o).Check(ctx, r) }
	})
}

func lockNotForCheck(a *assembly) {
	a.hook(func(h *hooks, _ daemon.Engine, o attach.Options) {
		h.check = func(ctx context.Context, r *attach.Request) error { return attach.New(o).Check(ctx, r) }
	})
}
