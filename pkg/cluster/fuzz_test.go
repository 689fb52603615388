// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"log/slog"
	"strings"
	"testing"
)

// FuzzManifest reads any manifest: each object has a name, each problem begins
// with file and line.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n, uid: u, annotations: {k8s.v1.cni.cncf.io/networks: a}}\n"))
	f.Add([]byte("apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {name: d}\nspec: {config: '{}'}\n---\nx: [\n---\nkind: List\napiVersion: v1\nitems: [1, {}]\n"))
	f.Add([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"../p"}}`))
	f.Add([]byte("a: &a [*a]\n"))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, problems := parse("f.yaml", data, log)
		for _, o := range objects {
			if o.key.name == "" || strings.Contains(o.key.name+o.key.namespace, "/") {
				t.Errorf("object %+v", o.key)
			}
		}
		for _, p := range problems {
			if !strings.HasPrefix(p, "f.yaml:") {
				t.Errorf("problem %q does not say where", p)
			}
		}
	})
}
