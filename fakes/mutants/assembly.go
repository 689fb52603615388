// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// assembly is a daemon in the making: what a fault can take hold of. Layers
// that are added later lie further outside.
type assembly struct {
	config *daemon.Config
	// cluster is where pods come from. An API server is there when the daemon
	// starts: faults take hold of it with wrapAPI.
	cluster cluster.Cluster

	before, listening, ended []func() error
	terminating              []func()
	// refusing changes what the daemon says when it does not start.
	refusing  func(error) error
	execs     []func(invoke.Exec) invoke.Exec
	ledgers   []func(attach.Ledger) attach.Ledger
	engines   []func(daemon.Engine, attach.Options) daemon.Engine
	handlers  []func(http.Handler) http.Handler
	listeners []func(net.Listener) net.Listener
	apis      []func(cluster.Cluster) cluster.Cluster
}

// socket is the path of the daemon's socket.
func (a *assembly) socket() string { return api.SocketPath(a.config.SocketDir) }

// onStart has f called before the daemon takes its run directory.
func (a *assembly) onStart(f func() error) { a.before = append(a.before, f) }

// onListening has f called when the daemon listens and serves nothing yet.
func (a *assembly) onListening(f func() error) { a.listening = append(a.listening, f) }

// onTerminate has f called at the signal to stop.
func (a *assembly) onTerminate(f func()) { a.terminating = append(a.terminating, f) }

// onEnd has f called when the daemon has ended.
func (a *assembly) onEnd(f func() error) { a.ended = append(a.ended, f) }

// wrapExec puts a layer round the execution of delegates.
func (a *assembly) wrapExec(f func(invoke.Exec) invoke.Exec) { a.execs = append(a.execs, f) }

// wrapLedger puts a layer round the ledger.
func (a *assembly) wrapLedger(f func(attach.Ledger) attach.Ledger) { a.ledgers = append(a.ledgers, f) }

// wrapEngine puts a layer round the engine; the options are those that it was
// made of, layers included.
func (a *assembly) wrapEngine(f func(daemon.Engine, attach.Options) daemon.Engine) {
	a.engines = append(a.engines, f)
}

// wrapHandler puts a layer round the handler of all requests.
func (a *assembly) wrapHandler(f func(http.Handler) http.Handler) {
	a.handlers = append(a.handlers, f)
}

// wrapListener puts a layer round the socket's listener.
func (a *assembly) wrapListener(f func(net.Listener) net.Listener) {
	a.listeners = append(a.listeners, f)
}

// serve does what cmd/thicketd does, with the mutant's fault in it.
func serve(m *mutant, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("configuration: %w; name the file with --config", err)
	}
	config, _, err := daemon.ParseConfig(data, file)
	if err != nil && m.refusing != nil {
		return m.refusing(data, err)
	}
	if err != nil {
		return err
	}
	log, closeLog, err := daemon.NewLogger(config)
	if err != nil {
		return err
	}
	defer func() { _ = closeLog() }()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := admission.FollowMemory(ctx, log); err != nil {
		log.Warn("the garbage collector does not know the node's memory limit", "error", err)
	}
	a, err := assemble(m, config, log)
	if err != nil {
		return err
	}
	d, err := daemon.New(ctx, daemon.Options{
		Config: config, Log: log, Cluster: a.cluster, Engine: a.engine, Handler: a.handler, Listener: a.listener,
	})
	if err != nil && a.refusing != nil {
		return a.refusing(err)
	}
	if err != nil {
		return err
	}
	if err := inTurn(a.listening); err != nil {
		return err
	}
	context.AfterFunc(ctx, func() {
		stop()
		for _, f := range a.terminating {
			f()
		}
	})
	return errors.Join(d.Run(ctx), inTurn(a.ended))
}

// assemble puts the mutant's fault in. What a fault does to the configuration
// of an API server comes before that is opened.
func assemble(m *mutant, config *daemon.Config, log *slog.Logger) (*assembly, error) {
	a := &assembly{config: config}
	if config.Cluster.Directory != "" {
		manifests, err := cluster.OpenDirectory(config.Cluster.Directory, log)
		if err != nil {
			return nil, err
		}
		a.cluster = panicking{manifests}
	}
	if m.daemon != nil {
		m.daemon(a)
	}
	if err := inTurn(a.before); err != nil || a.cluster != nil {
		return a, err
	}
	var err error
	if a.cluster, err = daemon.OpenCluster(config, log); err != nil {
		return nil, err
	}
	for _, f := range a.apis {
		a.cluster = f(a.cluster)
	}
	return a, nil
}

func inTurn(all []func() error) error {
	for _, f := range all {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// engine is daemon.Options.Engine: the real one between all layers.
func (a *assembly) engine(o attach.Options) daemon.Engine {
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

func (a *assembly) handler(h http.Handler) http.Handler {
	for _, f := range a.handlers {
		h = f(h)
	}
	return h
}

func (a *assembly) listener(l net.Listener) net.Listener {
	for _, f := range a.listeners {
		l = f(l)
	}
	return l
}

// panicking is a cluster that panics for pods whose name asks for it, so that
// EP-13 can be judged of a process of its own (the feature "panic").
type panicking struct{ *cluster.Directory }

// Pod implements cluster.Cluster.
func (p panicking) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	if strings.HasPrefix(name, "panic-") {
		panic("the pod's name asks for it: " + name)
	}
	return p.Directory.Pod(ctx, namespace, name)
}
