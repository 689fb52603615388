// SPDX-License-Identifier: Apache-2.0

package main

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
	// command is that of the request, which a delegate's differs from in a
	// rollback.
	command string
	*attach.Request

	mu sync.Mutex
	// isLost is set by faults that do not finish a request.
	isLost bool
}

type requestKey struct{}

// requestOf returns the request that a context belongs to, nil for none.
func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// tagging puts each request into its context.
type tagging struct{ daemon.Engine }

func tagged(ctx context.Context, command string, r *attach.Request) context.Context {
	return context.WithValue(ctx, requestKey{}, &request{command: command, Request: r})
}

func (t tagging) Add(ctx context.Context, r *attach.Request) (*types100.Result, error) {
	return t.Engine.Add(tagged(ctx, "ADD", r), r)
}

func (t tagging) Del(ctx context.Context, r *attach.Request) error {
	return t.Engine.Del(tagged(ctx, "DEL", r), r)
}

func (t tagging) Check(ctx context.Context, r *attach.Request) error {
	return t.Engine.Check(tagged(ctx, "CHECK", r), r)
}

func (t tagging) GC(ctx context.Context, r *attach.Request) error {
	return t.Engine.GC(tagged(ctx, "GC", r), r)
}

func (t tagging) HotAdd(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
	return t.Engine.HotAdd(tagged(ctx, "ADD", r), r, sel)
}

func (t tagging) HotDel(ctx context.Context, r *attach.Request) error {
	return t.Engine.HotDel(tagged(ctx, "DEL", r), r)
}

func (t tagging) HotCheck(ctx context.Context, r *attach.Request) error {
	return t.Engine.HotCheck(tagged(ctx, "CHECK", r), r)
}

// hooks is an engine whose methods a fault replaces one by one; those that are
// nil are the real engine's.
type hooks struct {
	daemon.Engine
	add      func(ctx context.Context, r *attach.Request) (*types100.Result, error)
	del      func(ctx context.Context, r *attach.Request) error
	check    func(ctx context.Context, r *attach.Request) error
	gc       func(ctx context.Context, r *attach.Request) error
	status   func(ctx context.Context) error
	hotAdd   func(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error)
	hotDel   func(ctx context.Context, r *attach.Request) error
	hotCheck func(ctx context.Context, r *attach.Request) error
	replay   func(ctx context.Context, firstPass func())
	unseen   func() string
}

// hook puts hooks round the engine.
func (a *assembly) hook(set func(h *hooks, next daemon.Engine, o attach.Options)) {
	a.wrapEngine(func(next daemon.Engine, o attach.Options) daemon.Engine {
		h := &hooks{Engine: next}
		set(h, next, o)
		return h
	})
}

func (h *hooks) Add(ctx context.Context, r *attach.Request) (*types100.Result, error) {
	if h.add != nil {
		return h.add(ctx, r)
	}
	return h.Engine.Add(ctx, r)
}

func (h *hooks) Del(ctx context.Context, r *attach.Request) error {
	if h.del != nil {
		return h.del(ctx, r)
	}
	return h.Engine.Del(ctx, r)
}

func (h *hooks) Check(ctx context.Context, r *attach.Request) error {
	if h.check != nil {
		return h.check(ctx, r)
	}
	return h.Engine.Check(ctx, r)
}

func (h *hooks) GC(ctx context.Context, r *attach.Request) error {
	if h.gc != nil {
		return h.gc(ctx, r)
	}
	return h.Engine.GC(ctx, r)
}

func (h *hooks) Status(ctx context.Context) error {
	if h.status != nil {
		return h.status(ctx)
	}
	return h.Engine.Status(ctx)
}

func (h *hooks) HotAdd(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error) {
	if h.hotAdd != nil {
		return h.hotAdd(ctx, r, sel)
	}
	return h.Engine.HotAdd(ctx, r, sel)
}

func (h *hooks) HotDel(ctx context.Context, r *attach.Request) error {
	if h.hotDel != nil {
		return h.hotDel(ctx, r)
	}
	return h.Engine.HotDel(ctx, r)
}

func (h *hooks) HotCheck(ctx context.Context, r *attach.Request) error {
	if h.hotCheck != nil {
		return h.hotCheck(ctx, r)
	}
	return h.Engine.HotCheck(ctx, r)
}

func (h *hooks) Replay(ctx context.Context, firstPass func()) {
	if h.replay != nil {
		h.replay(ctx, firstPass)
		return
	}
	h.Engine.Replay(ctx, firstPass)
}

func (h *hooks) Unseen() string {
	if h.unseen != nil {
		return h.unseen()
	}
	return h.Engine.Unseen()
}
