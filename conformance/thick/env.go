// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/fakes/script"
	"github.com/thicket-cni/thicket/pkg/api"
)

// TeardownTimeout bounds what follows a case's body.
const TeardownTimeout = 30 * time.Second

// Env is one case's own world: a node with the target's daemon and shim, and the
// pods and network definitions that it serves. What it starts, it ends; what the
// target leaves behind, it finds. Its methods fail the case when something goes
// wrong that is not the target's doing.
type Env struct {
	*node.Node
	// Target is the implementation that is judged.
	Target Target
	// The directories of the case beside the node's; see Paths.
	RunDir, CacheDir, ConfDir, ClusterDir, PendingDir, InstallDir string
	// CNIConfDir is the node's CNI configuration directory, empty at first, for
	// daemons that are started with NodeConfiguration.
	CNIConfDir string
	// Namespace is the pods' and definitions' Kubernetes namespace.
	Namespace string
	// NodeName is the name of the node that the daemon runs on.
	NodeName string
	// CNIVersion is the version of the shim's configuration.
	CNIVersion string

	Settings Settings
	Id       string
	World    world
	mu       sync.Mutex
	daemons  []*Daemon
	shims    []*ShimProcess
	stubs    []*Stub
	// NodeConfig is the configuration that the runtime has, when it is not the
	// target's: the file that the daemon wrote.
	NodeConfig []byte
	// plugged are the DELs of what was hot-plugged.
	plugged  []*api.Request
	daemonNo int
	// unserved is set while a daemon that was started does not serve yet.
	unserved bool
	// real is set by RealInterfaces.
	real bool
}

// NewEnv makes the environment of the case with that id.
func NewEnv(s Settings, workDir, id string) *Env {
	ginkgo.GinkgoHelper()
	n := node.New(node.Options{WorkDir: workDir, FakeDelegate: s.FakeDelegate, PluginDir: s.PluginDir})
	e := &Env{
		Node: n, Target: s.Target, Settings: s, Id: id, Namespace: "ns-" + node.RandomHex(4), NodeName: "node-" + node.RandomHex(4), CNIVersion: "1.1.0",
		RunDir: filepath.Join(n.Dir, "run"), CacheDir: filepath.Join(n.Dir, "cache"), ConfDir: filepath.Join(n.Dir, "net.d"),
		ClusterDir: filepath.Join(n.Dir, "cluster"), InstallDir: filepath.Join(n.Dir, "install"), CNIConfDir: filepath.Join(n.Dir, "cni"),
	}
	e.PendingDir = filepath.Join(e.CacheDir, "pending")
	if t, ok := s.Target.(RecordsTarget); ok {
		n.ListRecords = t.Records(e.Paths())
	}
	for _, d := range []string{e.ConfDir, e.ClusterDir, e.CacheDir, e.InstallDir, e.CNIConfDir} {
		Expect(os.Mkdir(d, 0o700)).To(Succeed())
	}
	if live, ok := s.Target.(LiveTarget); ok {
		e.RunDir = live.RunDir()
		e.Notef("asked of a running daemon: a part of the requirement, which cannot hurt the node")
	}
	e.DefaultNetwork(e.FakeList("default", script.Fake{}))
	e.World = directoryWorld{e.ClusterDir}
	if e.Supports(FeatureKubernetes) {
		w := kube.NewWorld(e.Kubeconfig(), s.Target.Name(), id, e.Namespace, e.NodeName)
		e.AtEnd(w.Front.Close)
		e.World = w
	}
	return e
}

// Sandbox makes a sandbox with a network namespace of its own, and its pod.
func (e *Env) Sandbox(options ...node.SandboxOption) *node.Sandbox {
	ginkgo.GinkgoHelper()
	s := e.NewSandbox(e.Namespace, options...)
	if !s.WithoutPod {
		e.WritePod(s, s.Annotations)
	}
	return s
}

// Kubeconfig is the daemon's, where there is an API server.
func (e *Env) Kubeconfig() string { return filepath.Join(e.Dir, "kubeconfig") }

// Supports says whether the target supports a feature, for the parts of a case
// that need more than the case.
func (e *Env) Supports(f spec.Feature) bool { return slices.Contains(e.Target.Features(), f) }

// Paths are the directories and parameters that the target gets.
func (e *Env) Paths() Paths {
	p := Paths{
		Dir: e.Dir, RunDir: e.RunDir, CacheDir: e.CacheDir, BinDir: e.BinDir, ConfDir: e.ConfDir, ClusterDir: e.ClusterDir,
		PendingDir: e.PendingDir, InstallDir: e.InstallDir, CNIVersion: e.CNIVersion,
		Kubeconfig: e.Kubeconfig(), NodeName: e.NodeName,
		PodResourcesSocket: filepath.Join(e.Dir, "kubelet", "kubelet.sock"), DeviceInfoDir: e.DeviceInfoDir(),
		ConfigFile: filepath.Join(e.Dir, "daemon.json"), LogFile: filepath.Join(e.Dir, "daemon.log"),
	}
	if w, ok := e.World.(*kube.World); ok {
		p.APIHost, p.APIPort, _ = net.SplitHostPort(w.Front.Address)
		p.APIToken, p.APICertificate = w.Credential, string(w.Front.Ca)
	}
	return p
}

// Teardown ends everything and asserts that nothing is left.
func (e *Env) Teardown(ctx context.Context) {
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
	e.CloseAll()
	e.ExpectNothingLeft()
}

// deleteAll DELs every sandbox that had an ADD, as a runtime would in the end.
func (e *Env) deleteAll(ctx context.Context) {
	var running *Daemon
	for _, d := range e.daemons {
		if !d.Ended() {
			running = d
		}
	}
	if running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, suite.Patience(10*time.Second))
	defer cancel()
	e.mu.Lock()
	var added []*node.Sandbox
	for _, s := range e.Sandboxes() {
		if s.Added {
			added = append(added, s)
		}
	}
	e.mu.Unlock()
	for _, r := range e.plugged {
		// Whether the sandbox's DEL removes them is HOT-04's, and no other case's.
		_, _ = e.TryPost(ctx, api.MultusDelegateAPIEndpoint, r)
	}
	for _, s := range added {
		_, _ = e.TryPost(ctx, "/cni", e.Request("DEL", s))
	}
}

// toldDaemons is how many of a case's daemons a failure's story tells of, the
// last ones.
const toldDaemons = 3

// Story is what helps to understand a failure: the daemons' logs.
func (e *Env) Story() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var text string
	for i, d := range e.daemons {
		if i >= len(e.daemons)-toldDaemons {
			text += fmt.Sprintf("--- log of daemon %d of %d\n%s\n", i+1, len(e.daemons), spec.LastLines(d.Log(), 60))
		}
	}
	return text
}

// APIRequests lists what the case's daemon has asked of the API server so far,
// each request as soon as it arrived there. The case is skipped when the API
// server's audit log cannot be read, which is so for any but the suite's own.
func (e *Env) APIRequests() []kube.APIRequest {
	ginkgo.GinkgoHelper()
	w := e.Api()
	if w.Access.AuditLog == "" {
		e.Skipf("the API server's audit log is needed, and this is not the suite's own API server; leave --kubeconfig out")
	}
	f, err := os.Open(w.Access.AuditLog)
	Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	_, err = f.Seek(w.AuditFrom, io.SeekStart)
	Expect(err).NotTo(HaveOccurred())
	data, err := io.ReadAll(f)
	Expect(err).NotTo(HaveOccurred())
	user := []byte(w.User())
	var all []kube.APIRequest
	for line := range bytes.Lines(data) {
		if !bytes.Contains(line, user) || !bytes.HasSuffix(line, []byte("\n")) {
			continue // somebody else's, or still being written
		}
		var event kube.AuditEvent
		Expect(json.Unmarshal(line, &event)).To(Succeed(), "a line of the audit log: %s", line)
		if event.Stage != "RequestReceived" || event.User.Username != w.User() {
			continue
		}
		r := kube.APIRequest{Verb: event.Verb, Resource: event.ObjectRef.Resource, Namespace: event.ObjectRef.Namespace,
			Name: event.ObjectRef.Name, URI: event.RequestURI, UserAgent: event.UserAgent}
		if event.ObjectRef.Subresource != "" {
			r.Resource += "/" + event.ObjectRef.Subresource
		}
		all = append(all, r)
	}
	return all
}

// Events lists the events of a sandbox's pod.
func (e *Env) Events(s *node.Sandbox) []corev1.Event {
	ginkgo.GinkgoHelper()
	w := e.Api()
	var list *corev1.EventList
	Expect(kube.Call(func(ctx context.Context) (err error) {
		list, err = w.Client.CoreV1().Events(s.PodNamespace).List(ctx, metav1.ListOptions{
			FieldSelector: fields.Set{"involvedObject.kind": "Pod", "involvedObject.name": s.PodName}.String(),
		})
		return err
	})).To(Succeed(), "the events of pod %s", s.PodName)
	return list.Items
}
