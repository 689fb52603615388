// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/network"
)

// The profile hotplug: requests for one sandbox at the same time.
var overlapMutants = []mutant.Mutant{
	{Name: "hot-add-without-lock", Cases: []string{"HOT-11"}, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) { h.OnHotAdd = unlockedHotAdd(o) })
	}, Fault: "a hot-plug does not wait for the sandbox's other requests"},
	{Name: "hot-del-without-lock", Cases: []string{"HOT-11"}, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
			h.OnHotDel = func(ctx context.Context, r *attach.Request) error { return attach.New(o).HotDel(ctx, r) }
		})
	}, Fault: "an unplug does not wait for the sandbox's other requests"},
	{Name: "delegate-with-locks-of-its-own", Cases: []string{"HOT-11"}, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
			apart := attach.New(o)
			h.OnHotAdd, h.OnHotDel, h.OnHotCheck = apart.HotAdd, apart.HotDel, apart.HotCheck
		})
	}, Fault: "requests of /delegate wait for each other and not for those of /cni"},
}

// unlockedHotAdd has an engine for each hot-plug: each has locks of its own.
func unlockedHotAdd(o attach.Options) func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
	return func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
		return attach.New(o).HotAdd(ctx, r, sel)
	}
}
