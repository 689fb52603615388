// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/attach"
)

// The profiles add and shim: delegates that hang, crash or misbehave.
func init() {
	register(
		mutant{name: "delegate-without-time-limit", cases: []string{"ADD-08"}, daemon: withExec(func(e *attach.Exec) { e.TimeLimit = time.Hour }),
			fault: "a delegate may hang for ever"},
		mutant{name: "delegate-children-live-on", cases: []string{"ADD-08", "ADD-14", "SHIM-10"}, daemon: childrenLiveOn,
			fault: "a delegate that is stopped leaves the processes that it started"},
		mutant{name: "delegate-timeout-code-999", cases: []string{"ADD-08"}, daemon: onPluginError(func(e *types.Error) error {
			if e.Code == types.ErrTryAgainLater {
				e.Code = types.ErrInternal
			}
			return e
		}), fault: "a delegate that ran out of time gets the code of an internal error"},
		mutant{name: "delegate-timeout-without-rollback", cases: []string{"ADD-08"}, daemon: noRollbackAfter(func(e *types.Error) bool { return e.Code == types.ErrTryAgainLater }),
			fault: "an ADD whose delegate ran out of time is not rolled back"},
		mutant{name: "delegate-output-unlimited", cases: []string{"ADD-09"}, daemon: withExec(func(e *attach.Exec) { e.OutputLimit = 1 << 30 }),
			fault: "whatever a delegate prints is kept in memory"},
		mutant{name: "delegate-crash-unnamed", cases: []string{"ADD-09"}, daemon: onPluginError(func(e *types.Error) error {
			if strings.HasPrefix(e.Msg, `plugin "`) {
				e.Msg = "netplugin failed"
			}
			return e
		}), fault: "the error of a delegate that crashed names neither plugin nor network"},
		mutant{name: "delegate-garbage-accepted", cases: []string{"ADD-09"}, daemon: onOutput(func(out []byte, err error) ([]byte, error) {
			if err == nil && !json.Valid(out) {
				return []byte(`{"cniVersion":"1.0.0"}`), nil
			}
			return out, err
		}), fault: "output that is not JSON is taken for an empty result"},
		mutant{name: "delegate-crash-is-success", cases: []string{"ADD-09"}, daemon: onOutput(func(out []byte, err error) ([]byte, error) {
			if err != nil && strings.Contains(err.Error(), "signal:") {
				return []byte(`{"cniVersion":"1.0.0"}`), nil
			}
			return out, err
		}), fault: "a delegate that crashed is taken for one without a result"},
		mutant{name: "delegate-missing-without-rollback", cases: []string{"ADD-09"}, daemon: func(a *assembly) {
			a.wrapExec(func(next invoke.Exec) invoke.Exec { return findless{next} })
			noRollbackAfter(func(e *types.Error) bool { return strings.Contains(e.Msg, "no such file") })(a)
		}, fault: "an ADD with a plugin that is not installed is not rolled back"},
	)
}

// withExec replaces the execution of delegates by the real one with another
// setting.
func withExec(f func(*attach.Exec)) func(*assembly) {
	return func(a *assembly) {
		a.wrapExec(func(next invoke.Exec) invoke.Exec {
			genuine, ok := next.(*attach.Exec)
			if !ok {
				return next
			}
			changed := attach.Exec{TimeLimit: genuine.TimeLimit, OutputLimit: genuine.OutputLimit, Chroot: genuine.Chroot, Gate: genuine.Gate}
			f(&changed)
			return &changed
		})
	}
}

// onOutput changes what a plugin's ADD is taken to have printed.
func onOutput(f func(out []byte, err error) ([]byte, error)) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			if p.command() == "ADD" {
				return f(out, err)
			}
			return out, err
		})
	}
}

// onPluginError changes the error of a plugin.
func onPluginError(f func(*types.Error) error) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			var own *types.Error
			if errors.As(err, &own) {
				changed := *own
				return out, f(&changed)
			}
			return out, err
		})
	}
}

// noRollbackAfter swallows the DELs of a rollback after certain errors.
func noRollbackAfter(which func(*types.Error) bool) func(*assembly) {
	return func(a *assembly) {
		a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
			if p.rollback() && p.request.lost() {
				return nil, nil
			}
			out, err := run(ctx, p)
			var own *types.Error
			if p.request != nil && errors.As(err, &own) && which(own) {
				p.request.lose()
			}
			return out, err
		})
	}
}

// plainExec runs plugins as a simple daemon does: the plugin alone is killed,
// and what it started lives on.
type plainExec struct {
	invoke.Exec
	limit time.Duration
	version.PluginDecoder
}

// ExecPlugin implements invoke.Exec.
func (e *plainExec) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	var out bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout = environ, bytes.NewReader(stdin), &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 100 * time.Millisecond
	err := cmd.Run()
	if err == nil {
		return out.Bytes(), nil
	}
	var own types.Error
	if json.Unmarshal(out.Bytes(), &own) == nil && own.Msg != "" {
		return nil, &own
	}
	var conf struct {
		Name string `json:"name"`
	}
	_ = json.Unmarshal(stdin, &conf)
	return nil, types.NewError(types.ErrTryAgainLater, "network "+conf.Name+": "+err.Error(), "")
}

// Decode implements invoke.Exec.
func (e *plainExec) Decode(b []byte) (version.PluginInfo, error) { return e.PluginDecoder.Decode(b) }

func childrenLiveOn(a *assembly) {
	a.wrapExec(func(next invoke.Exec) invoke.Exec {
		return &plainExec{Exec: next, limit: time.Duration(a.config.DelegateTimeout)}
	})
}
