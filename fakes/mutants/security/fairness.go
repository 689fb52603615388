// SPDX-License-Identifier: Apache-2.0

package security

import (
	"context"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// The profile security: delegates that hang and spend everybody's slots.
var fairnessMutants = []mutant.Mutant{
	{Name: "slots-to-deletes-first", Cases: []string{"SEC-11"}, Daemon: slots(true),
		Fault: "a DEL that waits for a slot goes before everything else, however often it has hung"},
	{Name: "slots-first-come", Cases: []string{"SEC-11"}, Daemon: slots(false),
		Fault: "slots are given in the order of asking, to one that always hangs too"},
	{Name: "gc-locks-node", Cases: []string{"SEC-11"}, Daemon: gcLocks,
		Fault: "nothing is attached or deleted while GC's delegates run"},
	{Name: "gc-ended-by-nobody", Cases: []string{"SEC-11"}, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
			o.SweepPatience = time.Hour
			h.Engine = daemon.NewEngine(o)
		})
	}, Fault: "an ADD waits for a GC of its network's name for as long as all its plugins hang"},
}

// gcLocks has GC keep everybody else out.
func gcLocks(a *seam.Assembly) {
	var collecting sync.RWMutex
	a.Hook(func(h *seam.Hooks, next daemon.Engine, _ attach.Options) {
		h.Gc = func(ctx context.Context, r *attach.Request) error {
			collecting.Lock()
			defer collecting.Unlock()
			return next.GC(ctx, r)
		}
		h.OnAdd = func(ctx context.Context, r *attach.Request) (*types100.Result, error) {
			collecting.RLock()
			defer collecting.RUnlock()
			return next.Add(ctx, r)
		}
		h.OnDel = func(ctx context.Context, r *attach.Request) error {
			collecting.RLock()
			defer collecting.RUnlock()
			return next.Del(ctx, r)
		}
	})
}

// slots lets delegates in without regard to what they run for.
func slots(deletesFirst bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		if a.Config.ConnectionLimit == 0 {
			return
		}
		g := &plainSlots{most: a.Config.ConnectionLimit, deletesFirst: deletesFirst}
		g.changed = sync.NewCond(&g.mu)
		a.WrapExec(func(next invoke.Exec) invoke.Exec {
			genuine, ok := next.(*attach.Exec)
			if !ok {
				return next
			}
			return &attach.Exec{TimeLimit: genuine.TimeLimit, OutputLimit: genuine.OutputLimit, Chroot: genuine.Chroot, Cells: genuine.Cells}
		})
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			g.enter(p.Command() == "DEL")
			defer g.leave()
			return run(ctx, p)
		})
	}
}

// plainSlots counts plugins that run. Those that wait have numbers.
type plainSlots struct {
	mu            sync.Mutex
	changed       *sync.Cond
	deletesFirst  bool
	most, running int
	waiting       []*plainWaiter
}

type plainWaiter struct{ del bool }

func (g *plainSlots) enter(del bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &plainWaiter{del}
	g.waiting = append(g.waiting, w)
	for g.running >= g.most || g.first() != w {
		g.changed.Wait()
	}
	for i, other := range g.waiting {
		if other == w {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			break
		}
	}
	g.running++
	g.changed.Broadcast()
}

func (g *plainSlots) first() *plainWaiter {
	for _, w := range g.waiting {
		if g.deletesFirst && w.del {
			return w
		}
	}
	return g.waiting[0]
}

func (g *plainSlots) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.changed.Broadcast()
}
