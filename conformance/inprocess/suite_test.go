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

func load(t *testing.T) conformance.Target {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "bin/thicketd")); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	target, err := conformance.LoadTarget(filepath.Join(root, "conformance/targets/thicket.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// TestInProcess judges the daemon linked into this test.
func TestInProcess(t *testing.T) {
	conformance.RunTest(t, options(t, inprocess.New(load(t))))
}

// TestBinaries judges the built binaries.
func TestBinaries(t *testing.T) {
	conformance.RunTest(t, options(t, load(t)))
}
