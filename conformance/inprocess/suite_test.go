// SPDX-License-Identifier: Apache-2.0

package inprocess_test

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/inprocess"
)

// root is the repository's, where bin/ is.
const root = "../.."

func config(target conformance.Target) conformance.Config {
	return conformance.Config{
		Target: target, PluginDir: filepath.Join(root, "bin/cni"),
		KubernetesAssets: filepath.Join(root, "bin/k8s"), Selection: conformance.Selection{Fast: testing.Short()},
		FakeDelegate: smallDelegate(),
		// Three runs stand side by side; most of their time they wait. What else runs on
		// the machine must not decide.
		Parallel: 3, Seed: seed(), Slow: 3,
	}
}

// seed is the order of the cases that make test SEED=… repeats; 0 is another one
// each time.
func seed() uint64 {
	value := os.Getenv("THICKET_TEST_SEED")
	seed, err := strconv.ParseUint(cmp.Or(value, "0"), 10, 64)
	if err != nil {
		panic("THICKET_TEST_SEED=" + value + " is not a number")
	}
	return seed
}

// smallDelegate is the fake delegate as a program of its own, where make test has
// built it. Empty means this program, which takes three times as long to start.
func smallDelegate() string {
	path := filepath.Join(root, "bin/fake-delegate")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
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
	t.Parallel()
	conformance.Run(t, config(inprocess.New(load(t, "thicket.yaml"))))
}

// TestBinaries judges the built binaries.
func TestBinaries(t *testing.T) {
	t.Parallel()
	conformance.Run(t, config(load(t, "thicket.yaml")))
}

// TestKubernetes judges the built binaries with an API server for their cluster.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	c := config(load(t, "thicket-kubernetes.yaml"))
	if _, err := os.Stat(filepath.Join(c.KubernetesAssets, "kube-apiserver")); err != nil && os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skipf("%v: make k8s builds it", err)
	}
	conformance.Run(t, c)
}

// TestDelegating judges the built binaries as the runtime of their delegates.
func TestDelegating(t *testing.T) {
	t.Parallel()
	c := config(nil)
	var err error
	if c.Target, err = conformance.Load(filepath.Join(root, "conformance/targets/runtimes/thicket.yaml")); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	conformance.Run(t, c)
}
