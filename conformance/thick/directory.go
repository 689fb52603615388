// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
)

// directoryWorld keeps pods and network definitions as manifests in a
// directory, and finds the pods' status below it.
type directoryWorld struct{ dir string }

// MakeNamespace implements world.
func (w directoryWorld) MakeNamespace(string) {}

// PutDefinition implements world.
func (w directoryWorld) PutDefinition(namespace, name, config string, annotations map[string]string) {
	ginkgo.GinkgoHelper()
	node.ReplaceFile(w.definitionFile(namespace, name), node.MustJSON(map[string]any{
		"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
		"metadata": map[string]any{"name": name, "namespace": namespace, "annotations": annotations},
		"spec":     map[string]any{"config": config},
	}))
}

// DeleteDefinition implements world.
func (w directoryWorld) DeleteDefinition(namespace, name string) {
	ginkgo.GinkgoHelper()
	Expect(os.Remove(w.definitionFile(namespace, name))).To(Succeed())
}

// '_' is in no name of an object, so no two objects share a file.
func (w directoryWorld) definitionFile(namespace, name string) string {
	return filepath.Join(w.dir, "definition_"+namespace+"_"+name+".json")
}

// PutPod implements world.
func (w directoryWorld) PutPod(s *node.Sandbox, annotations map[string]string) {
	ginkgo.GinkgoHelper()
	node.ReplaceFile(w.podFile(s), node.MustJSON(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": s.PodName, "namespace": s.PodNamespace, "uid": s.PodUID, "annotations": annotations},
	}))
}

// DeletePod implements world.
func (w directoryWorld) DeletePod(s *node.Sandbox) {
	ginkgo.GinkgoHelper()
	Expect(os.Remove(w.podFile(s))).To(Succeed())
}

func (w directoryWorld) podFile(s *node.Sandbox) string {
	return filepath.Join(w.dir, "pod_"+s.PodNamespace+"_"+s.PodName+".json")
}

// Status implements world.
func (w directoryWorld) Status(s *node.Sandbox) []map[string]any {
	ginkgo.GinkgoHelper()
	data, err := os.ReadFile(filepath.Join(w.dir, "status", s.PodNamespace+"_"+s.PodName+".json"))
	if os.IsNotExist(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	var published struct {
		Networks []map[string]any `json:"networks"`
	}
	Expect(json.Unmarshal(data, &published)).To(Succeed(), "JSON is expected here: %s", data)
	return published.Networks
}

// Away implements world.
func (w directoryWorld) Away(bool) {
	ginkgo.GinkgoHelper()
	Expect(os.Rename(w.dir, w.dir+".away")).To(Succeed())
}

// Back implements world.
func (w directoryWorld) Back() {
	ginkgo.GinkgoHelper()
	Expect(os.Rename(w.dir+".away", w.dir)).To(Succeed())
}
