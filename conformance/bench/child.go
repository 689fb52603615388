// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/fakes/nop"
)

// benchDeadline bounds everything together.
const benchDeadline = time.Hour

// bench is a measurement in progress.
type bench struct {
	settings Settings
	report   *Report
	sides    []*benchEnv
	// begun is how many measurements were to begin on a machine at rest, busy how
	// many began while something else was running all the same.
	begun, busy int
}

// benchEnv is one implementation's world.
type benchEnv struct {
	*thick.Env
	side *Side
	d    *thick.Daemon
}

// Measure is the task of the child process: it measures in this process's
// namespaces and returns a *BenchReport.
func Measure(settings Settings, workDir string) (any, error) {
	b := &bench{settings: settings, report: &Report{Started: time.Now().UTC(), Machine: machine(), Alone: map[string]Latency{}}}
	c := &suite.Case{Requirement: spec.Requirement{ID: "BENCH", Profile: "bench", Level: spec.Should}, Timeout: benchDeadline, Body: b.run}
	endAPI, err := kube.StartTaskAPI(settings.API(settings.clustered()...), Task, workDir)
	if err != nil {
		b.report.Failure = err.Error()
	} else if result := suite.RunSpec(c, suite.Settings{Subject: settings.Target, Setup: settings.Settings, WorkDir: workDir}); result.State != report.Passed {
		b.report.Failure = result.Reason + "\n" + result.Story()
	}
	endAPI()
	if len(b.report.Sides) > 0 {
		b.report.Goals = goals(b.report)
	}
	return b.report, nil
}

// machine says where the numbers come from.
func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.SplitSeq(string(info), "\n") {
			if name, found := strings.CutPrefix(line, "model name"); found {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d × %s, Linux %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)))
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

func (b *bench) run(ctx context.Context, t *suite.T) {
	e := thick.NewEnv(b.settings.Settings, t.WorkDir, t.Case.ID)
	ginkgo.DeferCleanup(func(ctx context.Context) {
		defer func() { t.Tell(suite.Story{Output: e.Story()}) }()
		e.Teardown(ctx)
	}, ginkgo.NodeTimeout(thick.TeardownTimeout))
	b.open(ctx, e)
	b.settle(ctx)
	for i, scenario := range []func(context.Context){b.shims, b.singles, b.unwaited, b.phases, b.bursts, b.reals, b.idle, b.definitions, b.storms, b.hanging, b.long, b.scale} {
		if b.settings.measures(Scenarios[i]) {
			scenario(ctx)
		}
	}
	if b.busy > 0 {
		b.progress("%d of %d measurements began while something else was running", b.busy, b.begun)
	}
}

// open makes a world for each side. The peer's is torn down like the target's.
func (b *bench) open(_ context.Context, e *thick.Env) {
	ginkgo.GinkgoHelper()
	envs := []*thick.Env{e}
	if b.settings.Peer != nil {
		s := e.Settings
		s.Target = b.settings.Peer
		peer := thick.NewEnv(s, e.WorkDir(), e.Id)
		ginkgo.DeferCleanup(func(ctx context.Context) { peer.Teardown(ctx) }, ginkgo.NodeTimeout(thick.TeardownTimeout))
		envs = append(envs, peer)
	}
	program := b.settings.Nop
	if program == "" {
		program = "/proc/self/exe"
	}
	program, err := filepath.EvalSymlinks(program)
	Expect(err).NotTo(HaveOccurred(), "the delegate that does nothing")
	program, err = filepath.Abs(program)
	Expect(err).NotTo(HaveOccurred())
	for _, e := range envs {
		Expect(nop.Link(e.BinDir, "nop", program)).To(Succeed())
		b.report.Sides = append(b.report.Sides, Side{Name: e.Target.Name(), Latency: map[string]Latency{}})
	}
	for i, e := range envs {
		side := &b.report.Sides[i]
		version, err := e.Target.Version(context.Background())
		Expect(err).NotTo(HaveOccurred())
		side.Version = version
		nopNetworks(e)
		b.sides = append(b.sides, &benchEnv{Env: e, side: side})
	}
}

// nopNetworks makes the default network and two more of delegates that do
// nothing.
func nopNetworks(e *thick.Env) {
	ginkgo.GinkgoHelper()
	list := func(name string) string {
		return string(node.MustJSON(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": []any{map[string]any{"type": "nop"}}}))
	}
	e.DefaultNetwork(list("default"))
	for _, name := range []string{"second", "third"} {
		e.Definition(name, list(name))
	}
}

// start starts the daemon of a side, and stop ends it: only one of them runs
// when memory or processor time is measured.
func (s *benchEnv) start(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s.d = s.Start(ctx, thick.ConfigPatch(quiet))
}

// quiet keeps a daemon's log out of the measurement.
func quiet(config map[string]any) {
	config["logLevel"] = "error"
}

func (s *benchEnv) stop(ctx context.Context) {
	ginkgo.GinkgoHelper()
	s.d.Stop(ctx)
}

// timeShim executes the shim as a runtime does and returns how long that took.
func (s *benchEnv) timeShim(ctx context.Context, command string, box *node.Sandbox) time.Duration {
	ginkgo.GinkgoHelper()
	config, err := s.Target.ShimConfig(s.Paths())
	Expect(err).NotTo(HaveOccurred())
	if command == "ADD" {
		s.NoteAddOf(box.ID)
	}
	took, output := timeProcess(ctx, s.Target.ShimPath(), box.Env(command), config)
	Expect(output).NotTo(ContainSubstring(`"code"`), "%s of %s", command, s.side.Name)
	return took
}

// timeProcess executes a plugin and returns how long that took, and its output.
func timeProcess(ctx context.Context, path string, env map[string]string, stdin []byte) (time.Duration, string) {
	ginkgo.GinkgoHelper()
	cmd := exec.CommandContext(ctx, path)
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &output, &output
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	Expect(err).NotTo(HaveOccurred(), output.String())
	return took, output.String()
}
