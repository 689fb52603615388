// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/pkg/api"
)

// teardownTimeout bounds what follows a case's body.
const teardownTimeout = 30 * time.Second

// Env is one case's own world: directories, sandboxes, the target's daemon and
// shim, and the delegates' calls. What it starts, it ends; what the target
// leaves behind, it finds. Its methods fail the case when something that is
// not the target's doing goes wrong.
type Env struct {
	// Target is the implementation that is judged.
	Target Target
	// The directories of the case; see Paths.
	Dir, RunDir, CacheDir, BinDir, ConfDir, ClusterDir, PendingDir, InstallDir string
	// CNIConfDir is the node's CNI configuration directory, empty at first, for
	// daemons that are started with NodeConfiguration.
	CNIConfDir string
	// CallsDir is where the fake delegates record their calls.
	CallsDir string
	// Namespace is the pods' and definitions' Kubernetes namespace.
	Namespace string
	// NodeName is the name of the node that the daemon runs on.
	NodeName string
	// CNIVersion is the version of the shim's configuration.
	CNIVersion string

	settings Settings
	world    world
	mu       sync.Mutex
	daemons  []*Daemon
	shims    []*ShimProcess
	stubs    []*Stub
	sandbox  []*Sandbox
	// nodeConfig is the configuration that the runtime has, when it is not the
	// target's: the file that the daemon wrote.
	nodeConfig []byte
	// plugged are the DELs of what was hot-plugged.
	plugged  []*api.Request
	closers  []func()
	daemonNo int
	notes    []string
	// unserved is set while a daemon that was started does not serve yet.
	unserved bool
	// before are the processes that ran before the target did: a benchmark's API
	// server.
	before []string
	// allowed is why leftovers are no failure, "" when they are.
	allowed string
}

func newEnv(s Settings, c Case) *Env {
	ginkgo.GinkgoHelper()
	dir, err := os.MkdirTemp(s.WorkDir, "e-")
	Expect(err).NotTo(HaveOccurred())
	e := &Env{
		Target: s.Target, settings: s, Dir: dir, Namespace: "ns-" + randomHex(4), NodeName: "node-" + randomHex(4), CNIVersion: "1.1.0",
		RunDir: filepath.Join(dir, "run"), CacheDir: filepath.Join(dir, "cache"), BinDir: filepath.Join(dir, "bin"),
		ConfDir: filepath.Join(dir, "net.d"), ClusterDir: filepath.Join(dir, "cluster"), CallsDir: filepath.Join(dir, "calls"),
		InstallDir: filepath.Join(dir, "install"), CNIConfDir: filepath.Join(dir, "cni"),
	}
	e.PendingDir = filepath.Join(e.CacheDir, "pending")
	if isolated() {
		e.before = foreignProcesses()
	}
	for _, d := range []string{e.BinDir, e.ConfDir, e.ClusterDir, e.CallsDir, e.CacheDir, e.InstallDir, e.CNIConfDir, filepath.Join(dir, "netns")} {
		Expect(os.Mkdir(d, 0o700)).To(Succeed())
	}
	fake, err := filepath.Abs(s.FakeDelegate)
	Expect(err).NotTo(HaveOccurred())
	Expect(os.Symlink(fake, filepath.Join(e.BinDir, "fake"))).To(Succeed())
	if live, ok := s.Target.(*socketTarget); ok {
		e.RunDir = live.runDir
		e.Notef("asked of a running daemon: a part of the requirement, which cannot hurt the node")
	}
	e.DefaultNetwork(e.FakeList("default", Fake{}))
	e.world = directoryWorld{e.ClusterDir}
	if e.Supports(FeatureKubernetes) {
		w := newAPIWorld(os.Getenv(envKubernetes), e.kubeconfig(), s.Target.Name(), c, e.Namespace, e.NodeName)
		e.atEnd(w.front.close)
		e.world = w
	}
	return e
}

// kubeconfig is the daemon's, where there is an API server.
func (e *Env) kubeconfig() string { return filepath.Join(e.Dir, "kubeconfig") }

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// Supports says whether the target supports a feature, for the parts of a case
// that need more than the case.
func (e *Env) Supports(f Feature) bool { return slices.Contains(e.Target.Features(), f) }

// Skipf skips the rest of the case with a reason.
func (e *Env) Skipf(format string, args ...any) {
	ginkgo.GinkgoHelper()
	ginkgo.Skip(fmt.Sprintf(format, args...))
}

// AllowLeftovers switches the search for records and interfaces after the case
// off, for one that leaves things on purpose. Processes are looked for still.
func (e *Env) AllowLeftovers(reason string) { e.allowed = reason }

// Notef puts what the case measured into the report.
func (e *Env) Notef(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

// RealPlugins puts the real plugins beside the fake one; the case is skipped
// with a reason when they are not built.
func (e *Env) RealPlugins() {
	ginkgo.GinkgoHelper()
	for _, name := range []string{"bridge", "macvlan", "ptp", "host-local", "static", "tuning", "portmap", "loopback"} {
		path, err := filepath.Abs(filepath.Join(e.settings.PluginDir, name))
		Expect(err).NotTo(HaveOccurred())
		if _, err := exec.LookPath(path); err != nil {
			e.Skipf("the real plugins are needed (%v); build containernetworking/plugins and name their directory with --plugins", err)
		}
		Expect(os.Symlink(path, filepath.Join(e.BinDir, name))).To(Succeed())
	}
}

// File writes a file below the case's directory and returns its path.
func (e *Env) File(name, content string) string {
	ginkgo.GinkgoHelper()
	path := filepath.Join(e.Dir, name)
	Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	replaceFile(path, []byte(content))
	return path
}

// Touch makes an empty file, which a delegate may be waiting for.
func (e *Env) Touch(path string) {
	ginkgo.GinkgoHelper()
	Expect(os.WriteFile(path, nil, 0o600)).To(Succeed())
}

// replaceFile writes a file as a careful writer does: whole, by rename.
func replaceFile(path string, content []byte) {
	ginkgo.GinkgoHelper()
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+randomHex(3))
	Expect(os.WriteFile(tmp, content, 0o600)).To(Succeed())
	Expect(os.Rename(tmp, path)).To(Succeed())
}

func (e *Env) paths() Paths {
	p := Paths{
		Dir: e.Dir, RunDir: e.RunDir, CacheDir: e.CacheDir, BinDir: e.BinDir, ConfDir: e.ConfDir, ClusterDir: e.ClusterDir,
		PendingDir: e.PendingDir, InstallDir: e.InstallDir, CNIVersion: e.CNIVersion,
		Kubeconfig: e.kubeconfig(), NodeName: e.NodeName,
		PodResourcesSocket: filepath.Join(e.Dir, "kubelet", "kubelet.sock"), DeviceInfoDir: e.deviceInfoDir(),
		ConfigFile: filepath.Join(e.Dir, "daemon.json"), LogFile: filepath.Join(e.Dir, "daemon.log"),
	}
	if w, ok := e.world.(*apiWorld); ok {
		p.APIHost, p.APIPort, _ = net.SplitHostPort(w.front.address)
		p.APIToken, p.APICertificate = w.credential, string(w.front.ca)
	}
	return p
}

// atEnd has f called when the case is over.
func (e *Env) atEnd(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closers = append(e.closers, f)
}

// teardown ends everything and asserts that nothing is left.
func (e *Env) teardown(ctx context.Context) {
	for _, s := range e.shims {
		s.end()
	}
	e.deleteAll(ctx)
	for _, d := range e.daemons {
		d.end(ctx)
	}
	for _, s := range e.stubs {
		s.Close()
	}
	for _, f := range slices.Backward(e.closers) {
		f()
	}
	processes := func() []string { return nil }
	if isolated() {
		processes = func() []string {
			return slices.DeleteFunc(foreignProcesses(), func(p string) bool { return slices.Contains(e.before, p) })
		}
	}
	// What the target has started may need a moment to end.
	_ = await(processes, 5*time.Second)
	left := processes()
	if e.allowed == "" {
		for _, s := range e.sandbox {
			left = append(left, e.Leftovers(s)...)
		}
		left = append(left, e.hostLeftovers()...)
	}
	for _, s := range e.sandbox {
		Expect(s.close()).To(Succeed())
	}
	Expect(left).To(BeEmpty(), "processes that are left after the case, and what is left after DEL")
}

// await looks until a list is empty, for a while.
func await(list func() []string, limit time.Duration) bool {
	deadline := time.After(limit)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for len(list()) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// deleteAll DELs every sandbox that had an ADD, as a runtime would in the end.
func (e *Env) deleteAll(ctx context.Context) {
	var running *Daemon
	for _, d := range e.daemons {
		if !d.ended() {
			running = d
		}
	}
	if running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	e.mu.Lock()
	var added []*Sandbox
	for _, s := range e.sandbox {
		if s.added {
			added = append(added, s)
		}
	}
	e.mu.Unlock()
	for _, r := range e.plugged {
		// Whether the sandbox's DEL removes them is HOT-04's, and no other case's.
		_, _ = e.post(ctx, api.MultusDelegateAPIEndpoint, r)
	}
	for _, s := range added {
		_, _ = e.post(ctx, "/cni", e.Request("DEL", s))
	}
}

// story is what helps to understand a failure: the daemons' logs.
func (e *Env) story() string {
	var text string
	for i, d := range e.daemons {
		text += fmt.Sprintf("--- log of daemon %d\n%s\n", i+1, lastLines(d.Log(), 60))
	}
	return text
}

// mustJSON encodes what can always be encoded.
func mustJSON(v any) []byte {
	ginkgo.GinkgoHelper()
	data, err := json.Marshal(v)
	Expect(err).NotTo(HaveOccurred())
	return data
}
