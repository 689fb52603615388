// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/suite"
)

const (
	// StartTimeout is how long a daemon may take to become ready: no row says
	// how fast, and on a busy machine an API server can keep it waiting.
	StartTimeout = 30 * time.Second
	// RefusalTimeout is how long one that must not start may take to say so.
	RefusalTimeout = 10 * time.Second
)

// Daemon is a daemon that a case started.
type Daemon struct {
	process Process
	env     *Env
	// asked is set when the case has told the daemon to end, or expects its end.
	asked atomic.Bool
}

type startSpec struct {
	paths   Paths
	noWait  bool
	patches []func(map[string]any)
}

// StartOption changes how Env.Start starts the daemon.
type StartOption func(*startSpec)

// WithoutWaiting returns from Start before the daemon is ready.
func WithoutWaiting() StartOption { return func(s *startSpec) { s.noWait = true } }

// DelegateTimeout is how long a delegate may run.
func DelegateTimeout(d time.Duration) StartOption {
	return func(s *startSpec) { s.paths.DelegateTimeout = d.String() }
}

// RequestLimit is the largest request, in bytes.
func RequestLimit(bytes int64) StartOption {
	return func(s *startSpec) { s.paths.RequestLimit = bytes }
}

// Ports are the TCP ports for metrics, with their IP address, and for probes.
func Ports(metricsAddress string, metrics, probes int) StartOption {
	return func(s *startSpec) {
		s.paths.MetricsAddress, s.paths.MetricsPort, s.paths.ProbePort = metricsAddress, metrics, probes
	}
}

// DefaultNetworkIs has the daemon take another default network than the one named
// "default": a definition, a file or a directory. It needs FeatureNodeNetworks, or
// FeatureChain.
func DefaultNetworkIs(where string) StartOption {
	return func(s *startSpec) { s.paths.DefaultNetwork = where }
}

// HomeNamespace is the namespace of definitions that are named without one.
func HomeNamespace(name string) StartOption {
	return func(s *startSpec) { s.paths.HomeNamespace = name }
}

// EveryPodGets has every pod attached to definitions in HomeNamespace, but for
// those of exempt namespaces. It needs FeatureNodeNetworks.
func EveryPodGets(definitions, exempt []string) StartOption {
	return func(s *startSpec) { s.paths.EveryPod, s.paths.ExemptNamespaces = definitions, exempt }
}

// Reconciling has networks attached and detached that are added to, and taken out
// of, the annotation of a running pod. It needs FeatureReconcile.
func Reconciling() StartOption { return func(s *startSpec) { s.paths.Reconcile = true } }

// Isolated keeps pods to their own namespace's definitions and to those of shared
// ones. It needs FeatureIsolation.
func Isolated(shared ...string) StartOption {
	return func(s *startSpec) { s.paths.Isolated, s.paths.SharedNamespaces = true, shared }
}

// AuxiliaryChain has every pod attached to a chain of plugins. It needs
// FeatureChain.
func AuxiliaryChain(name string) StartOption {
	return func(s *startSpec) { s.paths.AuxiliaryChain = name }
}

// RunDir is another run directory than the case's own.
func RunDir(path string) StartOption { return func(s *startSpec) { s.paths.RunDir = path } }

// NodeConfiguration has the daemon write the node's CNI configuration, for the
// default network that it finds in Env.CNIConfDir; the target must support
// FeatureNodeConf.
func NodeConfiguration() StartOption {
	return func(s *startSpec) { s.paths.CNIConfDir = filepath.Join(s.paths.Dir, "cni") }
}

// ConfigPatch changes the daemon's configuration after it was rendered. It needs
// FeatureMultusConfig: the keys are Multus'.
func ConfigPatch(patch func(map[string]any)) StartOption {
	return func(s *startSpec) { s.patches = append(s.patches, patch) }
}

// Start starts the target's daemon on the case's directories and returns when
// it serves: its socket answers /healthz, and /readyz where it has that.
func (e *Env) Start(ctx context.Context, options ...StartOption) *Daemon {
	ginkgo.GinkgoHelper()
	start := e.startSpec(options)
	d := e.launch(ctx, start)
	if !start.noWait {
		e.awaitServing(ctx, d, start.paths.RunDir)
	}
	return d
}

// AwaitServing returns when a daemon serves that was started without waiting.
func (e *Env) AwaitServing(ctx context.Context, d *Daemon) {
	ginkgo.GinkgoHelper()
	e.awaitServing(ctx, d, e.RunDir)
}

func (e *Env) awaitServing(ctx context.Context, d *Daemon, runDir string) {
	ginkgo.GinkgoHelper()
	e.unserved = true
	ended := e.Step("the daemon starts")
	probes := []string{"/healthz"}
	if e.Supports(FeatureReadyz) {
		probes = append(probes, "/readyz")
	}
	for _, probe := range probes {
		Eventually(func() error {
			if d.Ended() {
				return StopTrying("the daemon ended instead of serving: " + d.endedBy())
			}
			return e.Probe(ctx, runDir, probe)
		}).WithContext(ctx).WithTimeout(StartTimeout).WithPolling(node.PollInterval).Should(Succeed(),
			func() string { return "the daemon does not come to serve: " + probe + " is not answered with 200" })
	}
	ended("serves")
	e.unserved = false
}

func (e *Env) startSpec(options []StartOption) *startSpec {
	e.mu.Lock()
	defer e.mu.Unlock()
	start := &startSpec{paths: e.Paths()}
	e.daemonNo++
	if e.daemonNo > 1 {
		start.paths.ConfigFile = filepath.Join(e.Dir, fmt.Sprintf("daemon-%d.json", e.daemonNo))
		start.paths.LogFile = filepath.Join(e.Dir, fmt.Sprintf("daemon-%d.log", e.daemonNo))
	}
	for _, o := range options {
		o(start)
	}
	return start
}

func (e *Env) launch(ctx context.Context, start *startSpec) *Daemon {
	ginkgo.GinkgoHelper()
	config, err := e.Target.DaemonConfig(start.paths)
	Expect(err).NotTo(HaveOccurred())
	if len(start.patches) > 0 {
		var fields map[string]any
		Expect(json.Unmarshal(config, &fields)).To(Succeed(), "the daemon's configuration, which Multus' keys go into")
		for _, patch := range start.patches {
			patch(fields)
		}
		config = node.MustJSON(fields)
	}
	p, err := e.Target.StartDaemon(ctx, start.paths, config)
	Expect(err).NotTo(HaveOccurred())
	d := &Daemon{process: p, env: e}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.daemons = append(e.daemons, d)
	return d
}

// Probe asks a probe endpoint once; anything but 200 is an error.
func (e *Env) Probe(ctx context.Context, runDir, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(2*time.Second))
	defer cancel()
	a, err := Do(ctx, filepath.Join(runDir, "multus.sock"), http.MethodGet, endpoint, nil, nil)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("%s answers %s", endpoint, a)
	}
	return err
}

// StartRefused starts a daemon that must refuse to: it has to end by itself,
// with failure, within ten seconds. It returns what the daemon said.
func (e *Env) StartRefused(ctx context.Context, options ...StartOption) string {
	ginkgo.GinkgoHelper()
	d := e.launch(ctx, e.startSpec(options))
	d.asked.Store(true)
	select {
	case <-d.Done():
	case <-time.After(suite.Patience(RefusalTimeout)):
		ginkgo.Fail("the daemon serves, or hangs, instead of refusing to start")
	case <-ctx.Done():
		ginkgo.Fail("the daemon has not refused to start yet")
	}
	Expect(d.ExitCode()).NotTo(BeZero(), "the exit status of a daemon that refuses to start; its log:\n%s", d.Log())
	return d.Log()
}

// Terminate tells the daemon to stop, as SIGTERM does, and returns at once.
func (d *Daemon) Terminate() {
	ginkgo.GinkgoHelper()
	d.asked.Store(true)
	d.env.Step("the daemon is told to end")("")
	Expect(d.process.Terminate()).To(Succeed(), "SIGTERM to the daemon")
}

// Stop terminates the daemon and waits until it has ended.
func (d *Daemon) Stop(ctx context.Context) {
	ginkgo.GinkgoHelper()
	if d.Ended() {
		return
	}
	d.Terminate()
	d.Await(ctx)
}

// Kill ends the daemon by SIGKILL; the target must support FeatureKill.
func (d *Daemon) Kill() {
	ginkgo.GinkgoHelper()
	d.asked.Store(true)
	d.env.Step("the daemon is killed")("")
	Expect(d.process.Kill()).To(Succeed(), "SIGKILL to the daemon")
	d.Await(context.Background())
}

// Await waits until the daemon has ended.
func (d *Daemon) Await(ctx context.Context) {
	ginkgo.GinkgoHelper()
	d.asked.Store(true)
	Eventually(func() bool { return d.Ended() }).WithContext(ctx).WithTimeout(TeardownTimeout).WithPolling(node.PollInterval).Should(BeTrue(), "the daemon does not end")
}

// Done is closed when the daemon has ended.
func (d *Daemon) Done() <-chan struct{} { return d.process.Done() }

// ExitCode is the daemon's exit status; it waits for its end.
func (d *Daemon) ExitCode() int { return d.process.ExitCode() }

// endedBy says how the daemon ended: "exit status 2", "signal: killed".
func (d *Daemon) endedBy() string {
	if p, ok := d.process.(interface{ EndedBy() string }); ok {
		return p.EndedBy()
	}
	return fmt.Sprintf("exit status %d", d.ExitCode())
}

// endedUnasked says which of the case's daemons has ended though nothing told it
// to, "" when none has.
func (e *Env) endedUnasked() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.daemons {
		if !d.asked.Load() && d.Ended() {
			return fmt.Sprintf("the daemon ended by itself (%s)", d.endedBy())
		}
	}
	return ""
}

// Log is what the daemon has printed so far.
func (d *Daemon) Log() string { return d.process.Log() }

// PID is the daemon's process id, 0 when it has no process of its own.
func (d *Daemon) PID() int { return d.process.PID() }

// Ended reports whether the daemon has ended.
func (d *Daemon) Ended() bool {
	select {
	case <-d.Done():
		return true
	default:
		return false
	}
}

// end stops the daemon when the case is over, by force if it has to.
func (d *Daemon) end(ctx context.Context) {
	if d.Ended() {
		return
	}
	_ = d.process.Terminate()
	select {
	case <-d.Done():
	case <-ctx.Done():
		_ = d.process.Kill()
	case <-time.After(suite.Patience(TeardownTimeout / 2)):
		_ = d.process.Kill()
	}
}
