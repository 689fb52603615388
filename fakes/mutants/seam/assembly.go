// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// Assembly is a daemon in the making: what a fault can take hold of. Layers
// that are added later lie further outside.
type Assembly struct {
	Config *daemon.Config
	// Source is the configuration as it was written.
	Source []byte
	// Cluster is where pods come from. An API server is there when the daemon
	// starts: faults take hold of it with wrapAPI.
	Cluster cluster.Cluster

	Before, Listening, Ended []func() error
	Terminating              []func()
	// Refusing changes what the daemon says when it does not start.
	Refusing  func(error) error
	execs     []func(invoke.Exec) invoke.Exec
	ledgers   []func(attach.Ledger) attach.Ledger
	engines   []func(daemon.Engine, attach.Options) daemon.Engine
	handlers  []func(http.Handler) http.Handler
	listeners []func(net.Listener) net.Listener
	Apis      []func(cluster.Cluster) cluster.Cluster
}

// Has says whether the configuration has a key.
func (a *Assembly) Has(key string) bool {
	var keys map[string]json.RawMessage
	return json.Unmarshal(a.Source, &keys) == nil && keys[key] != nil
}

// Socket is the path of the daemon's socket.
func (a *Assembly) Socket() string { return api.SocketPath(a.Config.SocketDir) }

// OnStart has f called before the daemon takes its run directory.
func (a *Assembly) OnStart(f func() error) { a.Before = append(a.Before, f) }

// OnListening has f called when the daemon listens and serves nothing yet.
func (a *Assembly) OnListening(f func() error) { a.Listening = append(a.Listening, f) }

// OnTerminate has f called at the signal to stop.
func (a *Assembly) OnTerminate(f func()) { a.Terminating = append(a.Terminating, f) }

// OnEnd has f called when the daemon has ended.
func (a *Assembly) OnEnd(f func() error) { a.Ended = append(a.Ended, f) }

// WrapExec puts a layer round the execution of delegates.
func (a *Assembly) WrapExec(f func(invoke.Exec) invoke.Exec) { a.execs = append(a.execs, f) }

// WrapLedger puts a layer round the ledger.
func (a *Assembly) WrapLedger(f func(attach.Ledger) attach.Ledger) { a.ledgers = append(a.ledgers, f) }

// WrapEngine puts a layer round the engine; the options are those that it was
// made of, layers included.
func (a *Assembly) WrapEngine(f func(daemon.Engine, attach.Options) daemon.Engine) {
	a.engines = append(a.engines, f)
}

// wrapHandler puts a layer round the handler of all requests.
func (a *Assembly) wrapHandler(f func(http.Handler) http.Handler) {
	a.handlers = append(a.handlers, f)
}

// WrapListener puts a layer round the socket's listener.
func (a *Assembly) WrapListener(f func(net.Listener) net.Listener) {
	a.listeners = append(a.listeners, f)
}

// InTurn calls the functions up to the first error.
func InTurn(all []func() error) error {
	for _, f := range all {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// Engine is daemon.Options.Engine: the real one between all layers.
func (a *Assembly) Engine(o attach.Options) daemon.Engine {
	for _, f := range a.execs {
		o.Exec = f(o.Exec)
	}
	for _, f := range a.ledgers {
		o.Ledger = f(o.Ledger)
	}
	e := daemon.NewEngine(o)
	for _, f := range a.engines {
		e = f(e, o)
	}
	return tagging{e}
}

// Handler is daemon.Options.Handler: the real one between all layers.
func (a *Assembly) Handler(h http.Handler) http.Handler {
	for _, f := range a.handlers {
		h = f(h)
	}
	return h
}

// Listener is daemon.Options.Listener: the real one between all layers.
func (a *Assembly) Listener(l net.Listener) net.Listener {
	for _, f := range a.listeners {
		l = f(l)
	}
	return l
}

// Panicking is a cluster that panics for pods whose name asks for it, so that
// EP-13 can be judged of a process of its own (the feature "panic").
type Panicking struct{ *cluster.Directory }

// Pod implements cluster.Cluster.
func (p Panicking) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	if strings.HasPrefix(name, "panic-") {
		panic("the pod's name asks for it: " + name)
	}
	return p.Directory.Pod(ctx, namespace, name)
}

// OnCheck replaces CHECK.
func (a *Assembly) OnCheck(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) {
	a.Hook(func(h *Hooks, next daemon.Engine, o attach.Options) {
		h.OnCheck = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
	})
}

// OnLookup replaces the look-up of pods.
func (a *Assembly) OnLookup(f func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error)) {
	next := a.Cluster
	a.Cluster = &Lookups{next, func(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
		return f(ctx, namespace, name, next)
	}}
}

// OnPod changes the annotations that a pod is found with.
func (a *Assembly) OnPod(f func(annotations map[string]string)) {
	a.OnLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		changed := *pod
		changed.Annotations = maps.Clone(pod.Annotations)
		if changed.Annotations == nil {
			changed.Annotations = map[string]string{}
		}
		f(changed.Annotations)
		return &changed, nil
	})
}

// OnDel replaces DEL.
func (a *Assembly) OnDel(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) {
	a.Hook(func(h *Hooks, next daemon.Engine, o attach.Options) {
		h.OnDel = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
	})
}

// OnBody rewrites the bodies of /cni and /delegate.
func (a *Assembly) OnBody(f func(body []byte) []byte) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && (r.URL.Path == api.MultusCNIAPIEndpoint || r.URL.Path == api.MultusDelegateAPIEndpoint) {
			ReplaceBody(r, f(ReadBody(r)))
		}
		next.ServeHTTP(w, r)
	})
}

// WrapAPI puts a layer round the cluster of an API server.
func (a *Assembly) WrapAPI(f func(next *ApiLayer) cluster.Cluster) {
	a.Apis = append(a.Apis, func(next cluster.Cluster) cluster.Cluster {
		if k, ok := next.(*cluster.Kubernetes); ok {
			return f(&ApiLayer{k})
		}
		return next
	})
}

// OnPublish replaces the publishing of a pod's status.
func (a *Assembly) OnPublish(f func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus, next *ApiLayer) error) {
	a.WrapAPI(func(next *ApiLayer) cluster.Cluster {
		return &publishing{next, func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
			return f(ctx, pod, status, next)
		}}
	})
}

// OnGC replaces GC.
func (a *Assembly) OnGC(f func(ctx context.Context, r *attach.Request, next daemon.Engine, o attach.Options) error) {
	a.Hook(func(h *Hooks, next daemon.Engine, o attach.Options) {
		h.Gc = func(ctx context.Context, r *attach.Request) error { return f(ctx, r, next, o) }
	})
}

// OnStatus replaces STATUS.
func (a *Assembly) OnStatus(f func(ctx context.Context, next daemon.Engine, o attach.Options) error) {
	a.Hook(func(h *Hooks, next daemon.Engine, o attach.Options) {
		h.OnStatus = func(ctx context.Context) error { return f(ctx, next, o) }
	})
}

// OnDefinitionLookup replaces the look-up of definitions.
func (a *Assembly) OnDefinitionLookup(f func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Definition, error)) {
	next := a.Cluster
	a.Cluster = &definitions{&Lookups{next, next.Pod}, func(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
		return f(ctx, namespace, name, next)
	}}
}

// TerminatingFlag is set at the signal to stop.
func (a *Assembly) TerminatingFlag() *atomic.Bool {
	var flag atomic.Bool
	a.OnTerminate(func() { flag.Store(true) })
	return &flag
}

// OnReplay replaces the replay.
func (a *Assembly) OnReplay(f func(ctx context.Context, firstPass func(), next daemon.Engine, o attach.Options)) {
	a.Hook(func(h *Hooks, next daemon.Engine, o attach.Options) {
		h.OnReplay = func(ctx context.Context, firstPass func()) { f(ctx, firstPass, next, o) }
	})
}

// OnFind replaces the search for plugins.
func (a *Assembly) OnFind(find func(plugin string, dirs []string, next invoke.Exec) (string, error)) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec { return &finder{next, find} })
}

// OnOddResult has f change what an ADD's plugin printed, when it has null in a list.
func (a *Assembly) OnOddResult(f func(p *Plugin, stdout []byte) ([]byte, error)) {
	a.OnPlugin(func(ctx context.Context, p *Plugin, run RunPlugin) ([]byte, error) {
		stdout, err := run(ctx, p)
		if err != nil || p.Command() != "ADD" || !bytes.Contains(stdout, []byte("null")) {
			return stdout, err
		}
		return f(p, stdout)
	})
}
