// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/thicket-cni/thicket/conformance"
)

// idle is a standalone target whose daemon is never started.
type idle struct{}

func (idle) Name() string                                     { return "idle" }
func (idle) Features() []conformance.Feature                  { return []conformance.Feature{"standalone"} }
func (idle) Version(context.Context) (string, error)          { return "1", nil }
func (idle) ShimPath() string                                 { return "/bin/true" }
func (idle) ShimConfig(conformance.Paths) ([]byte, error)     { return []byte("{}"), nil }
func (idle) DaemonConfig(conformance.Paths) ([]byte, error)   { return []byte("{}"), nil }
func (idle) Install(context.Context, conformance.Paths) error { return errors.ErrUnsupported }
func (idle) StartDaemon(context.Context, conformance.Paths, []byte) (conformance.Process, error) {
	return nil, errors.ErrUnsupported
}

func TestKubeconfigIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	_, err := conformance.Judge(t.Context(), conformance.Options{Settings: conformance.Settings{Target: idle{}, Kubeconfig: path}})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a kubeconfig that is not there: %v", err)
	}
}

// TestEmbeddingWithoutPlugins is executed by TestPluginDirIsMissing.
func TestEmbeddingWithoutPlugins(t *testing.T) {
	if os.Getenv("THICKET_TEST_EMBEDDING") == "" && !conformance.IsChild() {
		t.Skip("it is executed by another test")
	}
	for range 2 {
		conformance.Run(t, conformance.Config{Target: idle{}, Selection: conformance.Selection{IDs: []string{"RES-06"}}})
	}
}

func TestPluginDirIsMissing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("namespaces need root")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestEmbeddingWithoutPlugins$")
	cmd.Env = append(os.Environ(), "THICKET_TEST_EMBEDDING=1")
	out, err := cmd.CombinedOutput()
	if n := strings.Count(string(out), "Config.PluginDir is empty"); err != nil || n != 1 {
		t.Errorf("it is said %d times, %v:\n%s", n, err, out)
	}
}
