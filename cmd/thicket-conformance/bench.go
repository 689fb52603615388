// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/bench"
	"github.com/thicket-cni/thicket/conformance/bench/scale"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

type benchFlags struct {
	targetFlags
	peer, nop, json, html string
	rounds, pairs         int
	scenarios, hollow     []string
	nodes                 []int
	strict                bool
}

func benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure a target, and another one beside it in the same run",
		Long: "bench executes whole shims as a container runtime does, the target's and the peer's in turns, and the same delegate\n" +
			"alone between them. It prints each goal beside what was measured. Ratios within one run mean something; times of\n" +
			"different machines or days do not.",
		Example: "  thicket-conformance bench --target conformance/targets/thicket.yaml --html bench.html",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return f.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.register(c)
	c.Flags().StringVar(&f.peer, "peer", "", "measure this implementation too, a target's YAML `file`")
	c.Flags().StringVar(&f.nop, "nop", "", "a small program to execute as the delegate that does nothing, a `file` that imports fakes/nop; empty is this program itself, which starts slower")
	c.Flags().StringVar(&f.json, "json", "", "write what was measured to this `file`")
	c.Flags().StringVar(&f.html, "html", "", "write a page with plots to this `file`")
	c.Flags().IntVar(&f.rounds, "rounds", 200, "how often each single request is made")
	c.Flags().IntVar(&f.pairs, "pairs", 10000, "how many ADD and DEL pairs the long run makes")
	c.Flags().StringSliceVar(&f.scenarios, "scenarios", nil, "measure only these, of: "+strings.Join(bench.Scenarios, ", ")+"; without it all but "+strings.Join(bench.OnlyNamed, ", "))
	c.Flags().IntSliceVar(&f.nodes, "nodes", []int{50, 100, 200, 400}, "the `numbers` of hollow nodes of the scenario scale, each against an API server of its own")
	c.Flags().StringArrayVar(&f.hollow, "hollow", nil, "a `name=program` of hollow nodes for the scenario scale, with its arguments (bin/hollow-nodes -as thicket); may be given several times")
	c.Flags().BoolVar(&f.strict, "strict", false, "exit with 1 when a goal is not met")
	return c
}

func (f *benchFlags) run(ctx context.Context, out, progress io.Writer) error {
	settings, err := f.settings()
	if err != nil {
		return err
	}
	target, ok := settings.Target.(thick.Target)
	if !ok {
		return fmt.Errorf("--target %s: bench measures thick plugins", f.target)
	}
	measured := bench.Settings{
		Settings: f.thick(target),
		Nop:      f.nop, Rounds: f.rounds, Pairs: f.pairs, Scenarios: f.scenarios, Nodes: f.nodes,
	}
	if err := f.scale(&measured); err != nil {
		return err
	}
	for _, s := range f.scenarios {
		if !slices.Contains(bench.Scenarios, s) {
			return fmt.Errorf("--scenarios: there is no %q; there are %s", s, strings.Join(bench.Scenarios, ", "))
		}
	}
	if f.rounds < 10 || f.pairs < 20 {
		return fmt.Errorf("--rounds %d and --pairs %d: fewer than 10 and 20 say nothing", f.rounds, f.pairs)
	}
	if f.peer != "" {
		if measured.Peer, err = conformance.LoadTarget(f.peer); err != nil {
			return err
		}
		if measured.Peer.Name() == target.Name() {
			return fmt.Errorf("--peer: %s is called %q, as the target is: give it another name there", f.peer, target.Name())
		}
	}
	if conformance.IsChild() {
		suite.RunChild(suite.Child{Settings: suite.Settings{Subject: target, Tasks: map[string]suite.Task{
			bench.Task: func(s suite.Settings) (any, error) { return bench.Measure(measured, s.WorkDir) },
		}}})
	}
	report, err := bench.Run(ctx, bench.Options{Settings: measured, Progress: progress,
		Command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...) }})
	if report == nil {
		return err
	}
	// What was measured before a failure took minutes, too.
	printBench(out, report)
	if err := errors.Join(err, f.write(report)); err != nil {
		return err
	}
	for _, g := range report.Goals {
		if f.strict && !g.Met {
			return errFailed
		}
	}
	return nil
}

// scale reads what the scenario scale needs.
func (f *benchFlags) scale(s *bench.Settings) error {
	for _, text := range f.hollow {
		d, err := scale.ParseDaemon(text)
		if err != nil {
			return fmt.Errorf("--hollow %w", err)
		}
		s.Hollow = append(s.Hollow, d)
	}
	if err := scale.Check(f.nodes); err != nil {
		return fmt.Errorf("--nodes: %w", err)
	}
	if slices.Contains(f.scenarios, "scale") && len(f.hollow) == 0 {
		return errors.New("--scenarios scale: name the programs of hollow nodes with --hollow; make bench-scale does")
	}
	return nil
}

func (f *benchFlags) write(report *bench.Report) error {
	if err := writeJSON(f.json, report); err != nil {
		return err
	}
	if f.html == "" {
		return nil
	}
	file, err := os.Create(f.html)
	if err != nil {
		return err
	}
	defer file.Close()
	return report.WriteHTML(file)
}

// printBench prints the goals, the latencies and the phases.
func printBench(out io.Writer, r *bench.Report) {
	fmt.Fprintf(out, "%s\n\n", r.Machine)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tGOAL\tRATIO\tMEASURED\tFLOOR\t")
	for _, g := range r.Goals {
		mark := ""
		if !g.Met {
			mark = "FALLS SHORT"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", g.What, g.Goal, g.Ratio, g.Measured, g.Floor, mark)
	}
	printFootprints(t, r)
	fmt.Fprintln(t, "\t\t\t\nTIMES\tP50\tP90\tP99")
	if r.Noop.N > 0 {
		printLatency(t, "no-op process", r.Noop)
	}
	for _, what := range slices.Sorted(maps.Keys(r.Alone)) {
		printLatency(t, "delegate alone, "+what, r.Alone[what])
	}
	if r.StatusWrite != nil {
		printLatency(t, "API server alone, write of a status", *r.StatusWrite)
	}
	for _, s := range r.Sides {
		for _, what := range slices.Sorted(maps.Keys(s.Latency)) {
			printLatency(t, s.Name+", "+what, s.Latency[what])
		}
		if u := s.Unwaited; u != nil {
			printLatency(t, s.Name+", ADD 1, status not waited for", u.ADD)
		}
		if s.Real != nil {
			printLatency(t, s.Name+", ADD of bridge and host-local", s.Real.ADD)
			printLatency(t, "bridge and host-local alone, in turns with them", s.Real.Plugins)
		}
		for _, h := range s.Hanging {
			printLatency(t, fmt.Sprintf("%s, ADD beside %d hanging pods", s.Name, h.Pods), h.ADD)
		}
		for _, d := range s.Definitions {
			printLatency(t, fmt.Sprintf("%s, ADD among %d definitions, %d of them of 1 MiB", s.Name, d.Definitions, d.Large), d.ADD)
		}
	}
	_ = t.Flush()
	if r.Scale != nil {
		fmt.Fprintln(out)
		_ = r.Scale.WriteText(out)
	}
	for _, s := range r.Sides {
		for _, phase := range slices.Sorted(maps.Keys(s.Phases)) {
			fmt.Fprintf(out, "%s, one ADD of two networks: %.2f ms %s\n", s.Name, s.Phases[phase], phase)
		}
		for _, b := range s.Bursts {
			fmt.Fprintf(out, "%s: 150 ADDs of two networks, %d at a time: %.2f s\n", s.Name, b.Concurrency, b.Seconds)
		}
		if s.Storm != nil {
			fmt.Fprintf(out, "%s: storm of %d: %s\n", s.Name, s.Storm.Sandboxes, s.Storm)
		}
	}
}

func printLatency(t io.Writer, what string, l bench.Latency) {
	fmt.Fprintf(t, "%s\t%.1f ms\t%.1f ms\t%.1f ms\n", what, l.P50, l.P90, l.P99)
}

// printFootprints prints what idle daemons hold, and what each part adds.
func printFootprints(t io.Writer, r *bench.Report) {
	for _, s := range r.Sides {
		if len(s.Idle.Parts) == 0 {
			continue
		}
		fmt.Fprintf(t, "\t\t\t\nMEMORY OF %s, IDLE\tRESIDENT\tANONYMOUS\tEXECUTABLE\tMORE\n", s.Name)
		var before float64
		for _, p := range s.Idle.Parts {
			fmt.Fprintf(t, "%d pods, %d definitions\t%.1f MiB\t%.1f MiB\t%.1f MiB\t+%.1f MiB\n",
				p.Pods, p.Definitions, p.ResidentMiB, p.AnonymousMiB, p.FileMiB, p.ResidentMiB-before)
			before = p.ResidentMiB
		}
	}
}
