// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"

	"github.com/thicket-cni/thicket/conformance/bench/scale"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// Task is the name by which a child process knows that it measures.
const Task = "bench"

// Options is what RunBench needs.
type Options struct {
	Settings
	// Command makes the command that runs this program as a child; see
	// suite.Options. The child has to offer Measure as the task named Task.
	Command func(ctx context.Context) *exec.Cmd
	// WorkDir is where the benchmark makes its directory; empty for the system's.
	WorkDir string
	// Progress is where the child says what it is doing; nil for nowhere.
	Progress io.Writer
}

// Settings say what is measured.
type Settings struct {
	thick.Settings
	// Peer is another implementation that is measured in turns with Target; may
	// be nil.
	Peer thick.Target
	// Nop is a program to execute as the delegate that does nothing: a small one
	// that imports fakes/nop. Empty means this program itself, which takes a
	// millisecond or two longer to start.
	Nop string
	// Rounds is how often each single measurement is made.
	Rounds int
	// Pairs is how many ADD and DEL pairs the long run makes.
	Pairs int
	// Scenarios are what is measured, of the package's Scenarios; none for all but
	// those of OnlyNamed.
	Scenarios []string
	// Hollow are the programs of hollow nodes that the scenario "scale" measures, at
	// these numbers of Nodes.
	Hollow []scale.Daemon
	Nodes  []int
}

// Scenarios are the parts of a benchmark, in their order.
var Scenarios = []string{"shim", "single", "unwaited", "phases", "burst", "real", "idle", "definitions", "storm", "hanging", "long", "scale"}

// OnlyNamed are the scenarios that are left out unless they are asked for: they take
// long, and are not about the target's binaries.
var OnlyNamed = []string{"scale"}

// Run measures the target, and the peer beside it, in one child process
// with namespaces of its own. Timings of different runs, or of different
// machines, should not be compared: ratios within one report may.
func Run(ctx context.Context, o Options) (*Report, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("root is needed for namespaces and sockets, this is uid %d", uid)
	}
	work, err := os.MkdirTemp(o.WorkDir, "tb-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	given, err := kube.TaskAPI(ctx, o.API(o.clustered()...), work)
	if err != nil {
		return nil, err
	}
	defer func() { _ = given.Close() }()
	report := &Report{}
	err = suite.RunTask(ctx, suite.TaskOptions{Name: Task, Command: o.Command, WorkDir: work, Environment: given.Environment(), Progress: o.Progress}, report)
	switch {
	case err != nil && report.Failure == "" && len(report.Sides) == 0:
		return nil, fmt.Errorf("the benchmark: %w", err)
	case report.Failure == "":
		return report, err
	case len(report.Sides) == 0:
		return nil, errors.New(report.Failure)
	}
	return report, errors.New(report.Failure)
}

// measures reports whether a scenario is asked for.
func (s *Settings) measures(scenario string) bool {
	if len(s.Scenarios) == 0 {
		return !slices.Contains(OnlyNamed, scenario)
	}
	return slices.Contains(s.Scenarios, scenario)
}

// clustered are the sides that need an API server.
func (s *Settings) clustered() []thick.Target {
	var targets []thick.Target
	for _, t := range []thick.Target{s.Target, s.Peer} {
		if t != nil && slices.Contains(t.Features(), thick.FeatureKubernetes) {
			targets = append(targets, t)
		}
	}
	return targets
}
