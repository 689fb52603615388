// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/thicket-cni/thicket/conformance/apiserver"
)

// benchCase is the id by which the runner's child knows that it measures.
const benchCase = "BENCH"

// BenchOptions is what RunBench needs.
type BenchOptions struct {
	Settings
	// Command makes the command that runs this program as a child; see Options.
	Command func(ctx context.Context) *exec.Cmd
	// Progress is where the child says what it is doing; nil for nowhere.
	Progress io.Writer
}

// BenchSettings are the part of Settings that only a benchmark has.
type BenchSettings struct {
	// Peer is another implementation that is measured in turns with Target; may
	// be nil.
	Peer Target
	// Nop is the built fakes/nop.
	Nop string
	// Rounds is how often each single measurement is made.
	Rounds int
	// Pairs is how many ADD and DEL pairs the long run makes.
	Pairs int
	// Scenarios are what is measured, of BenchScenarios; none for all.
	Scenarios []string
}

// BenchScenarios are the parts of a benchmark, in their order.
var BenchScenarios = []string{"shim", "single", "phases", "burst", "idle", "storm", "long"}

// RunBench measures the target, and the peer beside it, in one child process
// with namespaces of its own. Timings of different runs, or of different
// machines, should not be compared: ratios within one report may.
func RunBench(ctx context.Context, o BenchOptions) (*BenchReport, error) {
	if uid := os.Geteuid(); uid != 0 {
		return nil, fmt.Errorf("root is needed for namespaces and sockets, this is uid %d", uid)
	}
	if _, err := exec.LookPath(o.Bench.Nop); err != nil {
		return nil, fmt.Errorf("the delegate that does nothing: %w; build it with: go build -o fake-nop github.com/thicket-cni/thicket/fakes/nop", err)
	}
	work, err := os.MkdirTemp(o.WorkDir, "tb-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	variable, closeAPI, err := o.givenAPI(ctx, work)
	if err != nil {
		return nil, err
	}
	defer closeAPI()
	// Pdeathsig follows the thread that forked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := o.Command(ctx)
	result := filepath.Join(work, "bench.json")
	cmd.Env = append(os.Environ(), envCase+"="+benchCase, envResult+"="+result, envWorkDir+"="+work, envStage+"=", variable)
	cmd.Stdout, cmd.Stderr = io.Discard, o.Progress
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: isolation, Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Kill() }
	cmd.WaitDelay = 5 * time.Second
	runErr := cmd.Run()
	removed := removeCgroup(work)
	data, err := os.ReadFile(result)
	if err != nil {
		return nil, errors.Join(errors.New("the benchmark gave no result"), context.Cause(ctx), runErr)
	}
	report := &BenchReport{}
	if err := json.Unmarshal(data, report); err != nil {
		return nil, err
	}
	switch {
	case report.Failure == "":
		return report, removed
	case len(report.Sides) == 0:
		return nil, errors.New(report.Failure)
	}
	return report, errors.New(report.Failure)
}

// clustered are the sides that need an API server.
func (s *Settings) clustered() []Target {
	var targets []Target
	for _, t := range []Target{s.Target, s.Bench.Peer} {
		if t != nil && slices.Contains(t.Features(), FeatureKubernetes) {
			targets = append(targets, t)
		}
	}
	return targets
}

// givenAPI prepares the API server of a kubeconfig for the sides that need one,
// and returns the variable that tells the child of it. Without a kubeconfig the
// child starts one, in its own namespaces.
func (o *BenchOptions) givenAPI(ctx context.Context, work string) (variable string, end func(), err error) {
	none := envKubernetes + "="
	if len(o.clustered()) == 0 {
		return none, func() {}, nil
	}
	if o.Kubeconfig == "" {
		_, err := apiserver.Assets(o.KubernetesAssets)
		return none, func() {}, err
	}
	api, err := hostAPI(ctx, &o.Settings, work, o.clustered()...)
	if err != nil {
		return "", nil, err
	}
	return envKubernetes + "=" + api.file, func() { _ = api.close() }, nil
}
