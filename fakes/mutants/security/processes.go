// SPDX-License-Identifier: Apache-2.0

package security

import (
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile security: delegates that leave the process group that they were
// started in.
var processesMutants = []mutant.Mutant{
	{Name: "delegate-ended-by-its-group", Cases: []string{"SEC-16"}, Daemon: endedBy(time.Second, endGroup),
		Fault: "a delegate is ended by killing its process group, which it can leave"},
	{Name: "delegate-ended-alone", Cases: []string{"SEC-16"}, Daemon: endedBy(time.Second, func(cmd *exec.Cmd) error {
		_ = endGroup(cmd)
		return cmd.Process.Kill()
	}), Fault: "what a delegate has started in another session lives on"},
	{Name: "delegate-asked-to-end", Cases: []string{"SEC-16"}, Daemon: endedBy(time.Second, func(cmd *exec.Cmd) error {
		return cmd.Process.Signal(syscall.SIGTERM)
	}), Fault: "a delegate is asked to end, which one that has stopped itself does not hear"},
	{Name: "delegate-pipes-waited-for", Cases: []string{"SEC-16"}, Daemon: endedBy(0, func(cmd *exec.Cmd) error {
		_ = endGroup(cmd)
		return cmd.Process.Kill()
	}), Fault: "the end of a delegate's pipes is waited for, whoever holds them"},
}

func endGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// endedBy runs plugins as package os/exec does, and ends them by end. grace is
// how long pipes may be held after that, 0 for ever.
func endedBy(grace time.Duration, end func(*exec.Cmd) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapExec(func(next invoke.Exec) invoke.Exec {
			return &endingExec{Exec: next, limit: time.Duration(a.Config.DelegateTimeout), grace: grace, end: end}
		})
	}
}

type endingExec struct {
	invoke.Exec
	limit, grace time.Duration
	end          func(*exec.Cmd) error
	version.PluginDecoder
}

// ExecPlugin implements invoke.Exec.
func (e *endingExec) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	var out bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout = environ, bytes.NewReader(stdin), &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return e.end(cmd) }
	cmd.WaitDelay = e.grace
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	var own types.Error
	if json.Unmarshal(out.Bytes(), &own) == nil && own.Msg != "" {
		return nil, &own
	}
	return nil, types.NewError(types.ErrTryAgainLater, "plugin "+path+": "+err.Error(), "")
}

// Decode implements invoke.Exec.
func (e *endingExec) Decode(b []byte) (version.PluginInfo, error) { return e.PluginDecoder.Decode(b) }
