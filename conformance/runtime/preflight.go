// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// PreflightTask is the name of the task that looks whether a target is set up.
const PreflightTask = "runtime-preflight"

// Services are what a run needs beside its cases: the preflight.
func (s *Settings) Services() []suite.Service {
	if s.NoPreflight {
		return nil
	}
	return []suite.Service{&preflight{beside: s.Beside}}
}

// Tasks are what a child process of a run can be asked for.
func (s *Settings) Tasks() map[string]suite.Task {
	return map[string]suite.Task{PreflightTask: look}
}

// preflight looks whether a target is set up, before any case.
type preflight struct {
	beside  []suite.Service
	command func(ctx context.Context) *exec.Cmd
}

// UseCommand implements suite.Commander.
func (p *preflight) UseCommand(command func(ctx context.Context) *exec.Cmd) { p.command = command }

// Open implements suite.Service.
func (p *preflight) Open(ctx context.Context, dir string) error {
	work := filepath.Join(dir, "preflight")
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	problem := ""
	var said bytes.Buffer
	var environment []string
	for _, s := range p.beside {
		environment = append(environment, s.Environment()...)
	}
	err := suite.RunTask(ctx, suite.TaskOptions{Name: PreflightTask, Command: p.command, WorkDir: work, Environment: environment, Progress: &said}, &problem)
	if err != nil {
		return fmt.Errorf("the target is not set up, so nothing was judged: the preflight's process did not survive the runtime: %w\n%s",
			err, spec.LastLines(said.String(), 5))
	}
	if problem != "" {
		return fmt.Errorf("the target is not set up, so nothing was judged: %s", problem)
	}
	return nil
}

// Environment implements suite.Service.
func (p *preflight) Environment() []string { return nil }

// Sweep implements suite.Service: what a case leaves goes with its namespaces.
func (p *preflight) Sweep(context.Context, string) error { return nil }

// Close implements suite.Service.
func (p *preflight) Close() error { return nil }

// look is the preflight, in a process of its own: an ADD and a DEL.
func look(s suite.Settings) (any, error) {
	setup, ok := s.Setup.(Settings)
	if !ok {
		return nil, errNoTarget
	}
	problem := ""
	result := suite.RunSpec(&suite.Case{
		Requirement: spec.Requirement{ID: "PREFLIGHT", Profile: "preflight", Level: spec.Must}, Timeout: 2 * time.Minute,
		Body: func(ctx context.Context, t *suite.T) {
			e := begin(ctx, t, setup)
			problem = e.preflight(ctx)
		},
	}, s)
	if result.State != report.Passed && problem == "" {
		problem = result.Reason + "\n" + result.Output
	}
	return problem, nil
}

// preflight returns why the target cannot be judged, "" when it can. A DEL that
// fails is none: that is what cases are for.
func (e *Env) preflight(ctx context.Context) string {
	a := e.Attach(e.Network())
	added := e.Add(ctx, a)
	switch {
	case !added.OK:
		return "an ADD of three recording plugins does not succeed\n" + added.String() + "\n" + e.story()
	case len(e.Calls()) == 0:
		return "an ADD succeeds and executes none of the plugins in {{.BinDir}}\n" + added.String()
	}
	e.Del(ctx, a)
	return ""
}
