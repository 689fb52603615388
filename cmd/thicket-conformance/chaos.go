// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/chaos"
	"github.com/thicket-cni/thicket/conformance/mutation"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

type chaosFlags struct {
	mutantsFlags
	mutant, json string
	time         time.Duration
	slots        int
	seed         uint64
}

func chaosCommand() *cobra.Command {
	var f chaosFlags
	c := &cobra.Command{
		Use:   "chaos",
		Short: "Kill, stop and starve a target's daemon under load, and see that nothing is lost or left",
		Long: "chaos runs pods in slots, by the shim and with real plugins: ADD, CHECK, DEL, hot-plugs, GC and STATUS. Meanwhile it ends\n" +
			"the daemon by SIGKILL and SIGTERM, stops it by SIGSTOP, and makes its cache directory read-only. Every answer is compared\n" +
			"with a model of what must be; in the end no interface, lease, record, damaged file or pending DEL may be left.\n" +
			"It exits with 0 when all was well, 1 when something was violated or left, 2 when it could not run.",
		Example: "  thicket-conformance chaos --target conformance/targets/thicket.yaml --time 2m --seed 7",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) },
	}
	f.register(c)
	c.Flags().DurationVar(&f.time, "time", 10*time.Minute, "how long the daemon is disturbed")
	c.Flags().IntVar(&f.slots, "slots", 30, "how many pods there are at once")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "what the slots and the disturbances are drawn by; 0 is another one each time. The same seed makes the same choices, but not the same timing")
	c.Flags().StringVar(&f.json, "json", "", "write the report to this `file`")
	c.Flags().StringVar(&f.mutant, "mutant", "", "in place of --target: a daemon of Thicket with one deliberate fault, by its `name`, to show that chaos can fail")
	f.registerPrograms(c.Flags())
	return c
}

// judged is the target, or the mutant in its place.
func (f *chaosFlags) judged() (conformance.Settings, error) {
	switch {
	case f.mutant == "":
		return f.settings()
	case f.target != "":
		return conformance.Settings{}, errors.New("--target and --mutant exclude each other")
	}
	return f.settingsFor(&mutation.Mutant{Name: f.mutant, Kind: kindDaemon})
}

func (f *chaosFlags) run(ctx context.Context, out, progress io.Writer) error {
	if f.time < time.Second || f.slots < 1 {
		return fmt.Errorf("--time %s and --slots %d: a second and one slot is the least", f.time, f.slots)
	}
	settings, err := f.judged()
	if err != nil {
		return err
	}
	target, ok := settings.Target.(thick.Target)
	if !ok {
		return fmt.Errorf("--target %s: chaos is for thick plugins", f.target)
	}
	s := chaos.Settings{For: f.time, Slots: f.slots, Seed: f.seed, Settings: f.thick(target)}
	if conformance.IsChild() {
		suite.RunChild(suite.Child{Settings: suite.Settings{Subject: target, Tasks: map[string]suite.Task{
			chaos.Task: func(c suite.Settings) (any, error) { return chaos.Judge(s, c.WorkDir) },
		}}})
	}
	if s.Seed == 0 {
		s.Seed = chaos.NewSeed()
	}
	report, err := chaos.Run(ctx, chaos.Options{Settings: s, Progress: progress,
		Command: func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, "/proc/self/exe", append(os.Args[1:], "--seed", fmt.Sprint(s.Seed))...)
		}})
	if err != nil {
		return err
	}
	report.Print(out)
	if err := writeJSON(f.json, report); err != nil {
		return err
	}
	if !report.Sound() {
		return errFailed
	}
	return nil
}
