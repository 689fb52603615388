// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
)

// The profiles add and shim: delegates that hang, crash or misbehave.
var brokenMutants = []mutant.Mutant{
	{Name: "default-network-unlimited", Cases: []string{"ADD-08"}, Daemon: func(a *seam.Assembly) {
		a.WrapExec(func(next invoke.Exec) invoke.Exec { return &unlimitedDefault{next, &attach.Exec{TimeLimit: time.Hour}} })
	}, Fault: "the default network's plugins may take as long as they like"},
	{Name: "delegate-without-time-limit", Cases: []string{"ADD-08"}, Daemon: withExec(func(e *attach.Exec) { e.TimeLimit = time.Hour }),
		Fault: "a delegate may hang for ever"},
	{Name: "delegate-children-live-on", Cases: []string{"ADD-08", "ADD-14", "SHIM-10"}, Daemon: childrenLiveOn,
		Fault: "a delegate that is stopped leaves the processes that it started"},
	{Name: "delegate-timeout-code-999", Cases: []string{"ADD-08"}, Daemon: onPluginError(func(e *types.Error) error {
		if e.Code == types.ErrTryAgainLater {
			e.Code = types.ErrInternal
		}
		return e
	}), Fault: "a delegate that ran out of time gets the code of an internal error"},
	{Name: "delegate-timeout-without-rollback", Cases: []string{"ADD-08"}, Daemon: noRollbackAfter(func(e *types.Error) bool { return e.Code == types.ErrTryAgainLater }),
		Fault: "an ADD whose delegate ran out of time is not rolled back"},
	{Name: "delegate-output-unlimited", Cases: []string{"ADD-09"}, Daemon: withExec(func(e *attach.Exec) { e.OutputLimit = 1 << 30 }),
		Fault: "whatever a delegate prints is kept in memory"},
	{Name: "delegate-crash-unnamed", Cases: []string{"ADD-09"}, Daemon: onPluginError(func(e *types.Error) error {
		if strings.HasPrefix(e.Msg, `plugin "`) {
			e.Msg = "netplugin failed"
		}
		return e
	}), Fault: "the error of a delegate that crashed names neither plugin nor network"},
	{Name: "delegate-garbage-accepted", Cases: []string{"ADD-09"}, Daemon: onOutput(func(out []byte, err error) ([]byte, error) {
		if err == nil && !json.Valid(out) {
			return []byte(`{"cniVersion":"1.0.0"}`), nil
		}
		return out, err
	}), Fault: "output that is not JSON is taken for an empty result"},
	{Name: "delegate-crash-is-success", Cases: []string{"ADD-09"}, Daemon: onOutput(func(out []byte, err error) ([]byte, error) {
		if err != nil && strings.Contains(err.Error(), "signal:") {
			return []byte(`{"cniVersion":"1.0.0"}`), nil
		}
		return out, err
	}), Fault: "a delegate that crashed is taken for one without a result"},
	{Name: "delegate-missing-without-rollback", Cases: []string{"ADD-09"}, Daemon: func(a *seam.Assembly) {
		a.WrapExec(func(next invoke.Exec) invoke.Exec { return findless{next} })
		noRollbackAfter(func(e *types.Error) bool { return strings.Contains(e.Msg, "no such file") })(a)
	}, Fault: "an ADD with a plugin that is not installed is not rolled back"},
}

// withExec replaces the execution of delegates by the real one with another
// setting.
func withExec(f func(*attach.Exec)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapExec(func(next invoke.Exec) invoke.Exec {
			genuine, ok := next.(*attach.Exec)
			if !ok {
				return next
			}
			changed := attach.Exec{TimeLimit: genuine.TimeLimit, OutputLimit: genuine.OutputLimit, Chroot: genuine.Chroot, Gate: genuine.Gate, Cells: genuine.Cells}
			f(&changed)
			return &changed
		})
	}
}

// onOutput changes what a plugin's ADD is taken to have printed.
func onOutput(f func(out []byte, err error) ([]byte, error)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			out, err := run(ctx, p)
			if p.Command() == "ADD" {
				return f(out, err)
			}
			return out, err
		})
	}
}

// onPluginError changes the error of a plugin.
func onPluginError(f func(*types.Error) error) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
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
func noRollbackAfter(which func(*types.Error) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
			if p.Rollback() && p.Request.Lost() {
				return nil, nil
			}
			out, err := run(ctx, p)
			var own *types.Error
			if p.Request != nil && errors.As(err, &own) && which(own) {
				p.Request.Lose()
			}
			return out, err
		})
	}
}

func childrenLiveOn(a *seam.Assembly) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec {
		return &seam.PlainExec{Exec: next, Limit: time.Duration(a.Config.DelegateTimeout)}
	})
}

// unlimitedDefault gives the default network's plugins an hour.
type unlimitedDefault struct {
	invoke.Exec
	patient invoke.Exec
}

// ExecPlugin implements invoke.Exec.
func (u *unlimitedDefault) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	if slices.Contains(environ, "CNI_COMMAND=ADD") && slices.Contains(environ, "CNI_IFNAME=eth0") {
		return u.patient.ExecPlugin(ctx, path, stdin, environ)
	}
	return u.Exec.ExecPlugin(ctx, path, stdin, environ)
}
