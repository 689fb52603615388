// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
)

// ShimRun is an execution of the shim that has ended.
type ShimRun struct {
	Stdout, Stderr []byte
	ExitCode       int
	Duration       time.Duration
}

// Error returns the CNI error on stdout, nil when there is none.
func (r *ShimRun) Error() *types.Error { return cniErrorIn(r.Stdout) }

// Result100 returns the result on stdout as one of CNI 1.x; the case fails
// when there is none.
func (r *ShimRun) Result100() *types100.Result {
	ginkgo.GinkgoHelper()
	Expect(r.ExitCode).To(BeZero(), "the shim printed %s %s", r.Stdout, r.Stderr)
	var result types100.Result
	Expect(json.Unmarshal(r.Stdout, &result)).To(Succeed(), "stdout %q", r.Stdout)
	return &result
}

// ShimProcess is an execution of the shim that may still run.
type ShimProcess struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	start          time.Time
	ended          func(outcome string)
	done           chan struct{}
	run            *ShimRun
}

type shimSpec struct {
	path   string
	config []byte
	env    map[string]string
}

// ShimOption changes how the shim is executed.
type ShimOption func(*shimSpec)

// ShimConfig changes the shim's configuration.
func ShimConfig(patch func(map[string]any)) ShimOption {
	return func(s *shimSpec) {
		ginkgo.GinkgoHelper()
		var fields map[string]any
		Expect(json.Unmarshal(s.config, &fields)).To(Succeed(), "JSON is expected here: %s", s.config)
		patch(fields)
		s.config = node.MustJSON(fields)
	}
}

// ShimConfigBytes is the shim's standard input as it is.
func ShimConfigBytes(config []byte) ShimOption { return func(s *shimSpec) { s.config = config } }

// ShimEnv changes the shim's environment.
func ShimEnv(patch func(map[string]string)) ShimOption { return func(s *shimSpec) { patch(s.env) } }

// ShimPath executes another file than the target's shim.
func ShimPath(path string) ShimOption { return func(s *shimSpec) { s.path = path } }

// StartShim executes the shim as a container runtime does, and returns at once.
func (e *Env) StartShim(_ context.Context, command string, s *node.Sandbox, options ...ShimOption) *ShimProcess {
	ginkgo.GinkgoHelper()
	config, err := e.Target.ShimConfig(e.Paths())
	Expect(err).NotTo(HaveOccurred())
	spec := &shimSpec{path: e.Target.ShimPath(), config: config, env: s.Env(command)}
	for _, o := range options {
		o(spec)
	}
	if spec.env["CNI_COMMAND"] == "ADD" {
		e.NoteAddOf(s.ID)
	}
	p := &ShimProcess{ //nolint:noctx // the case ends it
		cmd: exec.Command(spec.path), start: time.Now(), done: make(chan struct{}),
		ended: e.Step("the shim's %s%s", spec.env["CNI_COMMAND"], ofSandbox(spec.env)),
	}
	for k, v := range spec.env {
		p.cmd.Env = append(p.cmd.Env, k+"="+v)
	}
	p.cmd.Stdin = bytes.NewReader(spec.config)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A process that a shim leaves may hold its pipes; it is found later.
	p.cmd.WaitDelay = time.Second
	Expect(p.cmd.Start()).To(Succeed())
	go func() {
		_ = p.cmd.Wait() // the exit status is in ProcessState
		p.run = &ShimRun{Stdout: p.stdout.Bytes(), Stderr: p.stderr.Bytes(), ExitCode: p.cmd.ProcessState.ExitCode(), Duration: time.Since(p.start)}
		p.ended(fmt.Sprintf("%s, printed %s", p.cmd.ProcessState, bytes.TrimSpace(slices.Concat(p.run.Stdout, p.run.Stderr))))
		close(p.done)
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shims = append(e.shims, p)
	return p
}

// Shim executes the shim and waits for its end.
func (e *Env) Shim(ctx context.Context, command string, s *node.Sandbox, options ...ShimOption) *ShimRun {
	ginkgo.GinkgoHelper()
	return e.StartShim(ctx, command, s, options...).Wait(ctx)
}

// PID is the shim's process id.
func (p *ShimProcess) PID() int { return p.cmd.Process.Pid }

// Kill ends the shim by SIGKILL and waits until it is gone.
func (p *ShimProcess) Kill() {
	ginkgo.GinkgoHelper()
	Expect(p.cmd.Process.Kill()).To(Succeed())
	<-p.done
}

// Done is closed when the shim has ended.
func (p *ShimProcess) Done() <-chan struct{} { return p.done }

// Wait waits for the shim's end; the case fails when ctx ends first.
func (p *ShimProcess) Wait(ctx context.Context) *ShimRun {
	ginkgo.GinkgoHelper()
	select {
	case <-p.done:
	case <-ctx.Done():
		ginkgo.Fail(fmt.Sprintf("the shim does not end: it has been running for %s", time.Since(p.start).Round(time.Millisecond)))
	}
	return p.run
}

func (p *ShimProcess) end() {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
