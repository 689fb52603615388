// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Fake is one fake plugin of a network configuration list, and what it does at
// each command.
type Fake struct {
	// Type is the plugin's executable; empty means the fake itself.
	Type string
	// Capabilities are those that the plugin declares.
	Capabilities map[string]bool
	// Extra are further keys of the plugin's configuration.
	Extra map[string]any

	Add, Del, Check, GC, Status FakeStep
}

// FakeStep is what a fake delegate does at one command, its fields in this
// order: the zero value succeeds with a sensible result.
type FakeStep struct {
	// Stderr and StderrBytes are printed on stderr.
	Stderr      string `json:"stderr,omitempty"`
	StderrBytes int64  `json:"stderrBytes,omitempty"`
	// Delay, such as "100ms", and WaitFor, a path that has to appear, come
	// before anything else is done.
	Delay   string `json:"delay,omitempty"`
	WaitFor string `json:"waitFor,omitempty"`
	// Child starts a process that never ends; Hang never returns.
	Child bool `json:"child,omitempty"`
	Hang  bool `json:"hang,omitempty"`
	// Signal ends the plugin by a signal, such as "SIGSEGV".
	Signal string `json:"signal,omitempty"`
	// Error is the CNI error to fail with.
	Error *types.Error `json:"error,omitempty"`
	// Stdout, so many more bytes, and Exit are what it ends with instead.
	Stdout      string `json:"stdout,omitempty"`
	StdoutBytes int64  `json:"stdoutBytes,omitempty"`
	Exit        int    `json:"exit,omitempty"`
	// Times limits Child to Exit to the first calls of the command for one
	// network, container and interface; later ones succeed.
	Times int `json:"times,omitempty"`
	// Veth makes ADD create a veth pair in the sandbox, and DEL remove it.
	Veth bool `json:"veth,omitempty"`
	// Addresses, with their prefix length, are put on the veth and into the
	// result.
	Addresses []string `json:"addresses,omitempty"`
	// DeviceInfo is written by ADD to the file that runtimeConfig names for it.
	DeviceInfo any `json:"deviceInfo,omitempty"`
	// Result is printed instead of the default result.
	Result any `json:"result,omitempty"`
}

// plugin renders a fake as one plugin of a configuration list.
func (e *Env) plugin(f Fake) map[string]any {
	p := map[string]any{}
	for k, v := range f.Extra {
		p[k] = v
	}
	p["type"] = "fake"
	if f.Type != "" {
		p["type"] = f.Type
	}
	if len(f.Capabilities) > 0 {
		p["capabilities"] = f.Capabilities
	}
	p["fake"] = map[string]any{"calls": e.CallsDir, "ADD": f.Add, "DEL": f.Del, "CHECK": f.Check, "GC": f.GC, "STATUS": f.Status}
	return p
}

// FakeList makes a network configuration list of fake plugins, one without
// steps when none are given.
func (e *Env) FakeList(network string, steps ...Fake) string {
	ginkgo.GinkgoHelper()
	if len(steps) == 0 {
		steps = []Fake{{}}
	}
	var plugins []any
	for _, s := range steps {
		plugins = append(plugins, e.plugin(s))
	}
	return string(mustJSON(map[string]any{"cniVersion": "1.0.0", "name": network, "plugins": plugins}))
}

// DefaultNetwork sets the default network to a configuration list, whose name
// must be "default".
func (e *Env) DefaultNetwork(configList string) {
	ginkgo.GinkgoHelper()
	replaceFile(filepath.Join(e.ConfDir, "10-default.conflist"), []byte(configList))
}

// world is where the pods and network definitions of a case are. Its methods
// fail the case when they cannot do their work.
type world interface {
	makeNamespace(name string)
	putDefinition(namespace, name, config string, annotations map[string]string)
	deleteDefinition(namespace, name string)
	// putPod sets the sandbox's PodUID when the world gives it.
	putPod(s *Sandbox, annotations map[string]string)
	deletePod(s *Sandbox)
	status(s *Sandbox) []map[string]any
	// away makes pods and definitions unreachable for the daemon, with its
	// attempts refused or, where that can be, without any answer.
	away(silent bool)
	back()
}

// NewNamespace makes one more Kubernetes namespace and returns its name.
func (e *Env) NewNamespace() string {
	ginkgo.GinkgoHelper()
	name := "ns-" + randomHex(4)
	e.world.makeNamespace(name)
	return name
}

// Definition makes or replaces a NetworkAttachmentDefinition in e.Namespace.
func (e *Env) Definition(name, config string) {
	ginkgo.GinkgoHelper()
	e.DefinitionIn(e.Namespace, name, config)
}

// DefinitionIn makes or replaces a NetworkAttachmentDefinition in a namespace:
// e.Namespace or one of NewNamespace.
func (e *Env) DefinitionIn(namespace, name, config string) {
	ginkgo.GinkgoHelper()
	e.world.putDefinition(namespace, name, config, nil)
}

// DefinitionOf makes or replaces a NetworkAttachmentDefinition in e.Namespace
// whose attachments take a device of a resource each (the annotation
// k8s.v1.cni.cncf.io/resourceName).
func (e *Env) DefinitionOf(resource, name, config string) {
	ginkgo.GinkgoHelper()
	e.world.putDefinition(e.Namespace, name, config, map[string]string{"k8s.v1.cni.cncf.io/resourceName": resource})
}

// DeleteDefinition removes a NetworkAttachmentDefinition from e.Namespace.
func (e *Env) DeleteDefinition(name string) {
	ginkgo.GinkgoHelper()
	e.world.deleteDefinition(e.Namespace, name)
}

// WritePod makes the pod of a sandbox, with these annotations, or replaces its
// annotations. When there is a pod of that name with another UID, it is made
// anew. An API server gives UIDs itself: s.PodUID is then the new one.
func (e *Env) WritePod(s *Sandbox, annotations map[string]string) {
	ginkgo.GinkgoHelper()
	e.world.putPod(s, annotations)
}

// DeletePod removes the pod of a sandbox.
func (e *Env) DeletePod(s *Sandbox) {
	ginkgo.GinkgoHelper()
	e.world.deletePod(s)
}

// Status returns the published network status of a sandbox's pod, nil when
// there is none.
func (e *Env) Status(s *Sandbox) []map[string]any {
	ginkgo.GinkgoHelper()
	return e.world.status(s)
}

// ClusterAway takes pods and network definitions away from the daemon until
// ClusterBack: the directory of manifests is not there, or the API server
// refuses connections and cuts those that there are. The suite itself still
// reaches an API server.
func (e *Env) ClusterAway() {
	ginkgo.GinkgoHelper()
	e.world.away(false)
}

// ClusterSilent is ClusterAway of an API server that is not refused but never
// heard of again, as behind a network that lost it.
func (e *Env) ClusterSilent() {
	ginkgo.GinkgoHelper()
	e.world.away(true)
}

// ClusterBack ends ClusterAway and ClusterSilent.
func (e *Env) ClusterBack() {
	ginkgo.GinkgoHelper()
	e.world.back()
}

// api is the world of a case that needs FeatureKubernetes.
func (e *Env) api() *apiWorld {
	ginkgo.GinkgoHelper()
	w, ok := e.world.(*apiWorld)
	Expect(ok).To(BeTrue(), "the case does not say that it needs the feature %s", FeatureKubernetes)
	return w
}
