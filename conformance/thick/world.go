// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/fakes/script"
)

// Plugin renders a fake as one plugin of a configuration list.
func (e *Env) Plugin(f script.Fake) map[string]any {
	p := map[string]any{}
	for k, v := range f.Extra {
		p[k] = v
	}
	p["type"] = "fake"
	if f.Type != "" {
		p["type"] = f.Type
	}
	if len(f.Capabilities) > 0 {
		// A runtime may keep capabilities to itself (CNI spec, section 3).
		p["capabilities"], p["declares"] = f.Capabilities, f.Capabilities
	}
	p["fake"] = map[string]any{"calls": e.CallsDir, "ADD": f.Add, "DEL": f.Del, "CHECK": f.Check, "GC": f.GC, "STATUS": f.Status}
	return p
}

// FakeList makes a network configuration list of fake plugins, one without
// steps when none are given.
func (e *Env) FakeList(network string, steps ...script.Fake) string {
	ginkgo.GinkgoHelper()
	if len(steps) == 0 {
		steps = []script.Fake{{}}
	}
	var plugins []any
	for i, s := range steps {
		if e.real && i == 0 {
			s.Add.Veth, s.Del.Veth = true, true
		}
		plugins = append(plugins, e.Plugin(s))
	}
	return string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "name": network, "plugins": plugins}))
}

// RealInterfaces has the first plugin of each list of FakeList make the interface
// that its result lists, from now on and in the default network. A case whose CHECK
// has to succeed needs that: a daemon may look for itself.
func (e *Env) RealInterfaces() {
	ginkgo.GinkgoHelper()
	e.real = true
	e.DefaultNetwork(e.FakeList("default"))
}

// DefaultNetwork sets the default network to a configuration list, whose name
// must be "default".
func (e *Env) DefaultNetwork(configList string) {
	ginkgo.GinkgoHelper()
	node.ReplaceFile(filepath.Join(e.ConfDir, "10-default.conflist"), []byte(configList))
}

// world is where the pods and network definitions of a case are. Its methods
// fail the case when they cannot do their work.
type world interface {
	MakeNamespace(name string)
	PutDefinition(namespace, name, config string, annotations map[string]string)
	DeleteDefinition(namespace, name string)
	// PutPod sets the sandbox's PodUID when the world gives it.
	PutPod(s *node.Sandbox, annotations map[string]string)
	DeletePod(s *node.Sandbox)
	Status(s *node.Sandbox) []map[string]any
	// Away makes pods and definitions unreachable for the daemon, with its
	// attempts refused or, where that can be, without any answer.
	Away(silent bool)
	Back()
}

// NewNamespace makes one more Kubernetes namespace and returns its name.
func (e *Env) NewNamespace() string {
	ginkgo.GinkgoHelper()
	name := "ns-" + node.RandomHex(4)
	e.World.MakeNamespace(name)
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
	e.World.PutDefinition(namespace, name, config, nil)
}

// DefinitionOf makes or replaces a NetworkAttachmentDefinition in e.Namespace
// whose attachments take a device of a resource each (the annotation
// k8s.v1.cni.cncf.io/resourceName).
func (e *Env) DefinitionOf(resource, name, config string) {
	ginkgo.GinkgoHelper()
	e.World.PutDefinition(e.Namespace, name, config, map[string]string{"k8s.v1.cni.cncf.io/resourceName": resource})
}

// DeleteDefinition removes a NetworkAttachmentDefinition from e.Namespace.
func (e *Env) DeleteDefinition(name string) {
	ginkgo.GinkgoHelper()
	e.World.DeleteDefinition(e.Namespace, name)
}

// WritePod makes the pod of a sandbox, with these annotations, or replaces its
// annotations. When there is a pod of that name with another UID, it is made
// anew. An API server gives UIDs itself: s.PodUID is then the new one.
func (e *Env) WritePod(s *node.Sandbox, annotations map[string]string) {
	ginkgo.GinkgoHelper()
	e.World.PutPod(s, annotations)
}

// DeletePod removes the pod of a sandbox.
func (e *Env) DeletePod(s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	e.World.DeletePod(s)
}

// Status returns the published network status of a sandbox's pod, nil when
// there is none.
func (e *Env) Status(s *node.Sandbox) []map[string]any {
	ginkgo.GinkgoHelper()
	return e.World.Status(s)
}

// ClusterAway takes pods and network definitions away from the daemon until
// ClusterBack: the directory of manifests is not there, or the API server
// refuses connections and cuts those that there are. The suite itself still
// reaches an API server.
func (e *Env) ClusterAway() {
	ginkgo.GinkgoHelper()
	e.World.Away(false)
}

// ClusterSilent is ClusterAway of an API server that is not refused but never
// heard of again, as behind a network that lost it.
func (e *Env) ClusterSilent() {
	ginkgo.GinkgoHelper()
	e.World.Away(true)
}

// ClusterBack ends ClusterAway and ClusterSilent.
func (e *Env) ClusterBack() {
	ginkgo.GinkgoHelper()
	e.World.Back()
}

// Api is the world of a case that needs FeatureKubernetes.
func (e *Env) Api() *kube.World {
	ginkgo.GinkgoHelper()
	w, ok := e.World.(*kube.World)
	Expect(ok).To(BeTrue(), "the case does not say that it needs the feature %s", FeatureKubernetes)
	return w
}
