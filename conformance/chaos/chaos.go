// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Task is the name by which a child process knows that it makes chaos.
const Task = "chaos"

// Settings say who is judged, and for how long.
type Settings struct {
	thick.Settings
	// For is how long the daemon is disturbed. Deleting what there is then, and
	// looking for what is left, takes some seconds more.
	For time.Duration
	// Slots is how many pods there are at once.
	Slots int
	// Seed decides what each slot does and what disturbs the daemon when. A run
	// with the same seed makes the same choices; what meets what is decided by
	// the machine's timing.
	Seed uint64
}

// Options is what Run needs.
type Options struct {
	Settings
	// Command makes the command that runs this program as a child; see
	// suite.Options. The child has to offer Judge as the task named Task.
	Command func(ctx context.Context) *exec.Cmd
	// WorkDir is where the run makes its directory; empty for the system's.
	WorkDir string
	// Progress is where the child says what it is doing; nil for nowhere.
	Progress io.Writer
}

// needs are the features without which nothing can be disturbed.
var needs = []spec.Feature{thick.FeatureProcess, thick.FeatureKill, thick.FeatureRestart}

// Run makes chaos in a child process with namespaces of its own, and returns
// what came of it. The error says that there was no run; Report.Sound says
// whether the target stood it.
func Run(ctx context.Context, o Options) (*Report, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("root is needed for namespaces and sockets, this is uid %d", uid)
	}
	for _, f := range needs {
		if !slices.Contains(o.Target.Features(), f) {
			return nil, fmt.Errorf("%s does not support %s, and chaos needs it", o.Target.Name(), thick.Features[f])
		}
	}
	if o.PluginDir == "" {
		return nil, errors.New("the real plugins are needed: build containernetworking/plugins and name their directory with --plugins")
	}
	work, err := os.MkdirTemp(o.WorkDir, "tc-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	given, err := kube.TaskAPI(ctx, o.clustered(), work)
	if err != nil {
		return nil, err
	}
	defer func() { _ = given.Close() }()
	report := &Report{}
	err = suite.RunTask(ctx, suite.TaskOptions{Name: Task, Command: o.Command, WorkDir: work, Environment: given.Environment(), Progress: o.Progress}, report)
	if err != nil && report.Failure == "" {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	return report, nil
}

// NewSeed draws a seed.
func NewSeed() uint64 { return rand.Uint64() }

// clustered are the settings of the API server, where the target needs one.
func (s *Settings) clustered() kube.Settings {
	if slices.Contains(s.Target.Features(), thick.FeatureKubernetes) {
		return s.API(s.Target)
	}
	return s.API()
}
