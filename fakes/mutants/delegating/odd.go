// SPDX-License-Identifier: Apache-2.0

package delegating

import (
	"context"
	"encoding/json"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
)

var oddMutants = []mutant.Mutant{
	{Name: "output-of-any-size", Cases: []string{"RT-30"}, Daemon: plainly,
		Fault: "whatever a delegate prints is kept in memory"},
	{Name: "hanging-delegate-waited-for", Cases: []string{"RT-30"}, Daemon: forAnHour,
		Fault: "a delegate that hangs is waited for, for an hour"},
	{Name: "any-output-is-a-result", Cases: []string{"RT-30"}, Daemon: anyOutput,
		Fault: "an ADD whose delegate prints something other than a result succeeds"},
}

// plainly executes delegates within their limit of time, and with none of output.
func plainly(a *seam.Assembly) {
	a.WrapExec(func(next invoke.Exec) invoke.Exec {
		return &seam.PlainExec{Exec: next, Limit: time.Duration(a.Config.DelegateTimeout)}
	})
}

// forAnHour is the limit of time of every delegate.
func forAnHour(a *seam.Assembly) {
	a.WrapExec(func(invoke.Exec) invoke.Exec { return &attach.Exec{TimeLimit: time.Hour} })
}

// anyOutput takes an empty result for what is none.
func anyOutput(a *seam.Assembly) {
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		out, err := run(ctx, p)
		if err == nil && p.Command() == "ADD" && !json.Valid(out) {
			return []byte(`{"cniVersion":"1.1.0"}`), nil
		}
		return out, err
	})
}
