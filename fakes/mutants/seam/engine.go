// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"
	"sync"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/network"
)

// request is what the layers below the engine know of the request that they
// work for. What the daemon does by itself, such as the replay, has none.
type request struct {
	// command is the request's, which a delegate's differs from in a
	// rollback.
	command string
	*attach.Request

	mu sync.Mutex
	// isLost is set by faults that do not finish a request.
	isLost bool
}

type requestKey struct{}

// RequestOf returns the request that a context belongs to, nil for none.
func RequestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// tagging puts each request into its context.
type tagging struct{ daemon.Engine }

func tagged(ctx context.Context, command string, r *attach.Request) context.Context {
	return context.WithValue(ctx, requestKey{}, &request{command: command, Request: r})
}

// Add implements daemon.Engine.
func (t tagging) Add(ctx context.Context, r *attach.Request) (*types100.Result, error) {
	return t.Engine.Add(tagged(ctx, "ADD", r), r)
}

// Del implements daemon.Engine.
func (t tagging) Del(ctx context.Context, r *attach.Request) error {
	return t.Engine.Del(tagged(ctx, "DEL", r), r)
}

// Check implements daemon.Engine.
func (t tagging) Check(ctx context.Context, r *attach.Request) error {
	return t.Engine.Check(tagged(ctx, "CHECK", r), r)
}

// GC implements daemon.Engine.
func (t tagging) GC(ctx context.Context, r *attach.Request) error {
	return t.Engine.GC(tagged(ctx, "GC", r), r)
}

// HotAdd implements daemon.Engine.
func (t tagging) HotAdd(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
	return t.Engine.HotAdd(tagged(ctx, "ADD", r), r, sel)
}

// HotDel implements daemon.Engine.
func (t tagging) HotDel(ctx context.Context, r *attach.Request) error {
	return t.Engine.HotDel(tagged(ctx, "DEL", r), r)
}

// HotCheck implements daemon.Engine.
func (t tagging) HotCheck(ctx context.Context, r *attach.Request) error {
	return t.Engine.HotCheck(tagged(ctx, "CHECK", r), r)
}

// Hooks is an engine whose methods a fault replaces one by one; those that are
// nil are the real engine's.
type Hooks struct {
	daemon.Engine
	OnAdd      func(ctx context.Context, r *attach.Request) (*types100.Result, error)
	OnDel      func(ctx context.Context, r *attach.Request) error
	OnCheck    func(ctx context.Context, r *attach.Request) error
	Gc         func(ctx context.Context, r *attach.Request) error
	OnStatus   func(ctx context.Context) error
	OnHotAdd   func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error)
	OnHotDel   func(ctx context.Context, r *attach.Request) error
	OnHotCheck func(ctx context.Context, r *attach.Request) error
	OnReplay   func(ctx context.Context, firstPass func())
	OnUnseen   func() string
	// OnReconcile replaces one step of following a pod's annotation.
	OnReconcile func(ctx context.Context, namespace, name string, attempt int, tell bool) (more bool, err error)
	OnAttached  func(namespace, name string) bool
}

// Hook puts hooks round the engine.
func (a *Assembly) Hook(set func(h *Hooks, next daemon.Engine, o attach.Options)) {
	a.WrapEngine(func(next daemon.Engine, o attach.Options) daemon.Engine {
		h := &Hooks{Engine: next}
		set(h, next, o)
		return h
	})
}

// Add implements daemon.Engine.
func (h *Hooks) Add(ctx context.Context, r *attach.Request) (*types100.Result, error) {
	if h.OnAdd != nil {
		return h.OnAdd(ctx, r)
	}
	return h.Engine.Add(ctx, r)
}

// Del implements daemon.Engine.
func (h *Hooks) Del(ctx context.Context, r *attach.Request) error {
	if h.OnDel != nil {
		return h.OnDel(ctx, r)
	}
	return h.Engine.Del(ctx, r)
}

// Check implements daemon.Engine.
func (h *Hooks) Check(ctx context.Context, r *attach.Request) error {
	if h.OnCheck != nil {
		return h.OnCheck(ctx, r)
	}
	return h.Engine.Check(ctx, r)
}

// GC implements daemon.Engine.
func (h *Hooks) GC(ctx context.Context, r *attach.Request) error {
	if h.Gc != nil {
		return h.Gc(ctx, r)
	}
	return h.Engine.GC(ctx, r)
}

// Status implements daemon.Engine.
func (h *Hooks) Status(ctx context.Context) error {
	if h.OnStatus != nil {
		return h.OnStatus(ctx)
	}
	return h.Engine.Status(ctx)
}

// HotAdd implements daemon.Engine.
func (h *Hooks) HotAdd(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
	if h.OnHotAdd != nil {
		return h.OnHotAdd(ctx, r, sel)
	}
	return h.Engine.HotAdd(ctx, r, sel)
}

// HotDel implements daemon.Engine.
func (h *Hooks) HotDel(ctx context.Context, r *attach.Request) error {
	if h.OnHotDel != nil {
		return h.OnHotDel(ctx, r)
	}
	return h.Engine.HotDel(ctx, r)
}

// HotCheck implements daemon.Engine.
func (h *Hooks) HotCheck(ctx context.Context, r *attach.Request) error {
	if h.OnHotCheck != nil {
		return h.OnHotCheck(ctx, r)
	}
	return h.Engine.HotCheck(ctx, r)
}

// Replay implements daemon.Engine.
func (h *Hooks) Replay(ctx context.Context, firstPass func()) {
	if h.OnReplay != nil {
		h.OnReplay(ctx, firstPass)
		return
	}
	h.Engine.Replay(ctx, firstPass)
}

// Unseen implements daemon.Engine.
func (h *Hooks) Unseen() string {
	if h.OnUnseen != nil {
		return h.OnUnseen()
	}
	return h.Engine.Unseen()
}

// Reconcile implements daemon.Engine.
func (h *Hooks) Reconcile(ctx context.Context, namespace, name string, attempt int, tell bool) (more bool, err error) {
	if h.OnReconcile != nil {
		return h.OnReconcile(ctx, namespace, name, attempt, tell)
	}
	return h.Engine.Reconcile(ctx, namespace, name, attempt, tell)
}

// Attached implements daemon.Engine.
func (h *Hooks) Attached(namespace, name string) bool {
	if h.OnAttached != nil {
		return h.OnAttached(namespace, name)
	}
	return h.Engine.Attached(namespace, name)
}

// Lose and lost note that a request must not be rolled back.
func (r *request) Lose() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isLost = true
}

// Lost reports whether the namespace of the request does not exist.
func (r *request) Lost() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isLost
}
