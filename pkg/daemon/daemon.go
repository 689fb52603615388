// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"go.opentelemetry.io/otel/trace"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/devices"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

const (
	// lingering is how long the daemon, having removed its socket, still takes
	// connections that were made before: they wait in the kernel's queue.
	lingering = 50 * time.Millisecond
	// replayPatience is how long ADD waits for the replay at start.
	replayPatience = 10 * time.Second
	// shutdownTimeout bounds the wait for connections that send nothing.
	shutdownTimeout = 2 * time.Second
)

// Options is what a Daemon is made of. Config and Log are required.
type Options struct {
	Config *Config
	Log    *slog.Logger
	// Cluster is where pods and definitions come from; nil means OpenCluster.
	Cluster cluster.Cluster
	// Exec runs the delegates; nil means as processes.
	Exec invoke.Exec

	// Tracer makes the spans of requests (SEC-05); nil makes none.
	Tracer trace.TracerProvider

	// The rest is for programs that embed the daemon and put layers of their own
	// between its parts: accounting, tracing, limits. Nil adds nothing.

	// Engine makes what carries out the requests; nil means NewEngine.
	Engine func(attach.Options) Engine
	// Handler wraps the handler of all requests.
	Handler func(http.Handler) http.Handler
	// Listener wraps the listener of the socket. Its connections must stay
	// sockets (syscall.Conn): the daemon asks the kernel who is at the other end.
	Listener func(net.Listener) net.Listener
}

// Daemon serves one run directory.
type Daemon struct {
	config  *Config
	log     *slog.Logger
	cluster cluster.Cluster
	engine  Engine
	planner *network.Planner
	node    *nodeconf.Manager
	socket  *socket
	cells   *attach.Cells
	flight  *flight
	metrics *metrics
	// follower looks at pods that change.
	follower *follower
	// largePending is held while a large pending DEL is worked on.
	largePending sync.Mutex
	// handler and listener are the embedder's layers, nil for none.
	handler  func(http.Handler) http.Handler
	listener func(net.Listener) net.Listener
	tracer   trace.TracerProvider
	// draining is closed at the first word to stop.
	draining chan struct{}
	// attachable is what was found last of what every pod needs.
	attachable attachable
	// replayed is closed, by sayReplayed, when the ledger has been gone through once.
	replayed    chan struct{}
	sayReplayed func()
	// hard ends when the grace period is over.
	hard    context.Context
	hardEnd context.CancelFunc
}

// New takes the run directory and starts to listen, so that its errors, each
// naming the path at fault and the way out, come before anything is served.
// It may wait for a daemon that is on its way out, until ctx ends. Run must
// follow; the socket is given up when Run ends.
func New(ctx context.Context, o Options) (*Daemon, error) {
	c := o.Config
	o.Log = cutting(o.Log)
	if err := checkPlugins(c.BinDir, c.ChrootDir); err != nil {
		return nil, err
	}
	store, err := openLedger(c, c.CNIDir, o.Log)
	if err != nil {
		return nil, err
	}
	from := o.Cluster
	if from == nil {
		if from, err = OpenCluster(c, o.Log); err != nil {
			return nil, err
		}
	}
	stores := []*ledger.Store{store}
	var withdrawals attach.Ledger // nil where no pod shows a status for longer than its sandbox is there
	if _, behind := from.(cluster.LiveCluster); behind {
		kept, err := openLedger(c, filepath.Join(c.CNIDir, "withdrawals"), o.Log)
		if err != nil {
			return nil, err
		}
		withdrawals, stores = kept, append(stores, kept)
	}
	gate := admission.New(admission.Options{Budget: admission.CgroupBudget(), Most: c.ConnectionLimit, Slow: min(admission.DefaultSlow, time.Duration(c.DelegateTimeout)/4)})
	cells := attach.NewCells(o.Log)
	if o.Exec == nil {
		o.Exec = &attach.Exec{TimeLimit: time.Duration(c.DelegateTimeout), Chroot: c.ChrootDir, Gate: gate, Cells: cells,
			Environment: []string{api.DelegateVariable + "=" + api.SocketPath(c.SocketDir)}}
	}
	d := &Daemon{cells: cells, config: c, log: o.Log, cluster: from, flight: newFlight(), draining: make(chan struct{}), replayed: make(chan struct{})}
	d.sayReplayed = sync.OnceFunc(func() { close(d.replayed) })
	d.hard, d.hardEnd = context.WithCancel(context.Background())
	d.handler, d.listener, d.tracer = o.Handler, o.Listener, o.Tracer
	if o.Engine == nil {
		o.Engine = NewEngine
	}
	turns := attach.NewTurns(admission.LargeTurns())
	d.planner = network.NewPlanner(d.plannerOptions(from, turns), from)
	d.engine = o.Engine(attach.Options{
		Cluster: from,
		Planner: d.planner,
		Ledger:  store, Withdrawals: withdrawals, Turns: turns,
		Exec: o.Exec, BinDirs: filepath.SplitList(c.BinDir), CacheDir: c.CNIDir,
		DeviceInfo: devices.InfoDir(c.DeviceInfoDir), SweepPatience: time.Duration(c.DelegateTimeout),
		StatusWait: time.Duration(c.StatusWait),
		Log:        o.Log,
	})
	d.metrics = newMetrics(gate, d.engine, from, store.Count)
	if d.socket, err = listen(ctx, c.SocketDir); err != nil {
		return nil, err
	}
	d.follower = newFollower(d)
	d.metrics.gauge("pods_unattached", "Pods that run without the networks that they ask for, because somebody else attached them.",
		func() float64 { return float64(d.follower.strays.count()) })
	// Only now is it certain that no other daemon is writing there.
	sweep(stores, o.Log)
	d.node = d.openNode()
	d.node.Find(ctx)
	return d, nil
}

// openLedger opens the records in a directory, each within the configured limit.
func openLedger(c *Config, dir string, log *slog.Logger) (*ledger.Store, error) {
	store, err := ledger.Open(dir, log)
	if err != nil {
		return nil, err
	}
	store.Bound(c.RecordLimit)
	return store, nil
}

// sweep removes records that an earlier daemon did not finish.
func sweep(stores []*ledger.Store, log *slog.Logger) {
	for _, s := range stores {
		if err := s.Sweep(); err != nil {
			log.Warn("records in the making of an earlier daemon are left", "error", err)
		}
	}
}

func checkPlugins(binDir, chroot string) error {
	for _, dir := range filepath.SplitList(binDir) {
		if _, err := os.ReadDir(filepath.Join(chroot, dir)); err != nil {
			return fmt.Errorf("plugin directory: %w; install the delegate plugins there, or set binDir to where they are", err)
		}
	}
	return nil
}

func (d *Daemon) plannerOptions(from cluster.Cluster, turns *attach.Turns) network.Options {
	c := d.config
	var global []string
	for n := range strings.SplitSeq(c.GlobalNamespaces, ",") {
		if n = strings.TrimSpace(n); n != "" {
			global = append(global, n)
		}
	}
	return network.Options{
		ConfDir:            c.ConfDir,
		MultusNamespace:    c.MultusNamespace,
		ClusterNetworkNow:  d.defaultNetwork,
		DelegatesNow:       d.delegates,
		ForceCNIVersion:    forcedVersion(c),
		DefaultNetworks:    c.DefaultNetworks,
		AuxiliaryChain:     c.AuxiliaryCNIChainName,
		SystemNamespaces:   c.SystemNamespaces,
		NamespaceIsolation: c.NamespaceIsolation,
		GlobalNamespaces:   global,
		TolerateUndeclared: c.UndeclaredCapabilities == undeclaredWarn,
		Limits:             c.Limits,
		Turn:               turns.Take,
		Devices:            devices.NewSource(c.PodResourcesSocket, from),
	}
}

// failure is why the daemon had to stop by itself, as opposed to being told.
type failure struct{ error }

// runner is a cluster that has to run to follow changes.
type runner interface {
	Run(ctx context.Context) error
}

// Run serves until ctx ends and then drains: new ADDs are refused, requests in
// flight finish, and DEL is served as long as one is (READY-08). After the
// grace period what still runs is cancelled and rolled back. It returns when
// nothing runs any more; an error means that serving or following the cluster
// failed.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	work := background.Group{Log: d.log}
	// Followers live as long as requests are served, which is past ctx.
	follow, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	if r, ok := d.cluster.(runner); ok {
		work.Keep(follow, "following the cluster", func(ctx context.Context) { d.follow(ctx, r, fail) })
	}
	work.Keep(follow, "the replay", d.replay)
	work.Keep(follow, "publishing network statuses", d.engine.KeepPublishing)
	work.Start("following pods", func() { d.follower.run(ctx) })
	work.Keep(follow, "pending DELs", d.followPending)
	work.Keep(follow, "waiting for readiness", d.sayReady)
	work.Keep(follow, "metrics", d.serveMetrics)
	work.Keep(follow, "probes", d.serveProbes)
	followNode, stopNode := context.WithCancel(follow)
	nodeEnded := make(chan error, 1)
	work.Keep(follow, "the node's configuration", func(context.Context) { nodeEnded <- d.node.Run(followNode) })

	server := &http.Server{
		Handler:           d.routes(),
		ReadHeaderTimeout: headerTimeout,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	server.SetKeepAlivesEnabled(false)
	listener := d.socket.Listener
	if d.listener != nil {
		listener = d.listener(listener)
	}
	serving := background.Start(d.log, "serving requests", func() error { return server.Serve(listener) })
	work.Start("serving requests", func() {
		if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
			fail(&failure{fmt.Errorf("serving %s: %w", d.socket.path, err)})
		}
	})
	d.log.Info("listening", "socket", d.socket.path, "cniDir", d.config.CNIDir)

	<-ctx.Done()
	d.drain()
	d.withdraw(stopNode, nodeEnded)
	err := d.close(server) //nolint:contextcheck // the context has ended, and what is in flight has not
	stopFollowing()
	work.Wait()
	var broken *failure
	if errors.As(context.Cause(ctx), &broken) {
		err = errors.Join(broken.error, err)
	}
	d.log.Info("stopped")
	return err
}

func (d *Daemon) follow(ctx context.Context, r runner, fail context.CancelCauseFunc) {
	if err := r.Run(ctx); err != nil && ctx.Err() == nil {
		fail(&failure{fmt.Errorf("following the cluster: %w", err)})
	}
}

// replay cleans up after a former daemon. New sandboxes wait for it, because
// the addresses that it frees may be the last; but not for longer than
// replayPatience: a delegate that keeps failing must not stop a node. Namespaces
// that cannot be seen do: delegates could not enter new ones either (RES-09).
func (d *Daemon) replay(ctx context.Context) {
	late := time.AfterFunc(replayPatience, func() { d.replayIsLate() })
	defer late.Stop()
	d.engine.Replay(ctx, d.sayReplayed)
	d.sayReplayed()
}

func (d *Daemon) replayIsLate() {
	if d.engine.Unseen() != "" {
		return
	}
	d.log.Warn("cleaning up after the former daemon takes long and goes on beside new requests")
	d.sayReplayed()
}

// drain waits until no request is in flight; when the grace period passes
// first, it cancels them and waits for their rollback.
func (d *Daemon) drain() {
	close(d.draining)
	d.log.Info("stopping: no new ADD; waiting for the requests in flight")
	grace := time.AfterFunc(time.Duration(d.config.GracePeriod), func() { d.endHard() })
	defer grace.Stop()
	<-d.flight.idle()
}

func (d *Daemon) endHard() {
	d.log.Warn("the grace period is over; requests in flight are cancelled", "gracePeriod", time.Duration(d.config.GracePeriod))
	d.hardEnd()
}

// close takes the socket away, serves who had connected before, and ends.
func (d *Daemon) close(server *http.Server) error {
	err := d.socket.unlink()
	for waited := false; !waited; {
		<-d.flight.idle()
		busy := d.flight.entered()
		select {
		case <-busy:
		case <-time.After(lingering):
			waited = true
		}
	}
	d.hardEnd()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if shutdown := server.Shutdown(ctx); shutdown != nil {
		err = errors.Join(err, server.Close())
	}
	return errors.Join(err, d.socket.dir.Close())
}
