// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
)

// The profile check: delegates that hang at other commands than ADD.
var hangsMutants = []mutant.Mutant{
	{Name: "no-limit-at-check", Cases: []string{"CHECK-08"}, Daemon: unlimitedAt("CHECK"),
		Fault: "a delegate may take as long as it likes at CHECK"},
	{Name: "no-limit-at-del", Cases: []string{"CHECK-08"}, Daemon: unlimitedAt("DEL"),
		Fault: "a delegate may take as long as it likes at DEL"},
	{Name: "no-limit-at-gc", Cases: []string{"CHECK-08"}, Daemon: unlimitedAt("GC"),
		Fault: "a delegate may take as long as it likes at GC"},
	{Name: "no-limit-at-status", Cases: []string{"CHECK-08"}, Daemon: unlimitedAt("STATUS"),
		Fault: "a delegate may take as long as it likes at STATUS"},
	{Name: "children-live-after-check", Cases: []string{"CHECK-08"}, Daemon: func(a *seam.Assembly) {
		a.WrapExec(func(next invoke.Exec) invoke.Exec {
			return &byCommand{next, &seam.PlainExec{Exec: next, Limit: time.Duration(a.Config.DelegateTimeout)}, []string{"CHECK"}}
		})
	}, Fault: "what a delegate started at CHECK is not ended with it"},
}

// byCommand executes plugins in another way at some commands.
type byCommand struct {
	invoke.Exec
	other    invoke.Exec
	commands []string
}

// ExecPlugin implements invoke.Exec.
func (b *byCommand) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	for _, variable := range environ {
		if command, found := strings.CutPrefix(variable, "CNI_COMMAND="); found && slices.Contains(b.commands, command) {
			return b.other.ExecPlugin(ctx, path, stdin, environ)
		}
	}
	return b.Exec.ExecPlugin(ctx, path, stdin, environ)
}

// unlimitedAt has delegates run for an hour at a command.
func unlimitedAt(commands ...string) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapExec(func(next invoke.Exec) invoke.Exec {
			return &byCommand{next, &attach.Exec{TimeLimit: time.Hour}, commands}
		})
	}
}
