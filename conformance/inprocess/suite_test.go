// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/inprocess"
)

// root is the repository's, where bin/ is.
const root = "../.."

func options(t *testing.T, target conformance.Target) conformance.Options {
	t.Helper()
	return conformance.Options{
		Settings: conformance.Settings{
			Target: target, FakeDelegate: filepath.Join(root, "bin/fake-delegate"), PluginDir: filepath.Join(root, "bin/cni"),
		},
		Selection: conformance.Selection{Fast: testing.Short()},
	}
}

func load(t *testing.T, name string) conformance.Target {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "bin/thicketd")); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	target, err := conformance.LoadTarget(filepath.Join(root, "conformance/targets/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// TestInProcess judges the daemon linked into this test.
func TestInProcess(t *testing.T) {
	conformance.RunTest(t, options(t, inprocess.New(load(t, "thicket.yaml"))))
}

// TestBinaries judges the built binaries.
func TestBinaries(t *testing.T) {
	conformance.RunTest(t, options(t, load(t, "thicket.yaml")))
}

// TestKubernetes judges the built binaries with an API server for their cluster.
func TestKubernetes(t *testing.T) {
	o := options(t, load(t, "thicket-kubernetes.yaml"))
	o.Settings.KubernetesAssets = filepath.Join(root, "bin/k8s")
	if _, err := os.Stat(filepath.Join(o.Settings.KubernetesAssets, "kube-apiserver")); err != nil && os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skipf("%v: make k8s builds it", err)
	}
	conformance.RunTest(t, o)
}
