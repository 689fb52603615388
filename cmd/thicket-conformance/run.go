// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thicket-cni/thicket/conformance"
	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/all"
)

type runFlags struct {
	targetFlags
	selection conformance.Selection
	level     string
	report    string
	keep      string
	parallel  int
	seed      uint64
	repeat    int
	verbose   bool
	strict    bool
	flags     *pflag.FlagSet
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Judge a target",
		Example: "  thicket-conformance run --target in-process\n" +
			"  thicket-conformance run --target conformance/targets/thicket.yaml --profiles add,del --report report/",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	f.register(c)
	f.flags = c.Flags()
	c.Flags().StringSliceVar(&f.selection.Profiles, "profiles", nil, "only these `profiles`: "+strings.Join(profileNames(), ", "))
	c.Flags().StringSliceVar(&f.selection.IDs, "only", nil, "only these cases, by `id` or pattern, such as SOCK-*")
	c.Flags().StringVar(&f.level, "level", "", "only this `level`: must or should")
	c.Flags().StringVar(&f.report, "report", "", "write report.json, report.yaml, report.html and junit.xml into this `directory`")
	c.Flags().StringVar(&f.keep, "keep", "", "keep what the cases make in this `directory`: configurations, logs, calls, records; each case in one of its own")
	c.Flags().IntVar(&f.parallel, "parallel", 0, "how many cases run side by side; 0 means twice the cores, 8 at most")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "the order of the cases, to repeat a run; 0 is another one each time")
	c.Flags().IntVar(&f.repeat, "repeat", 1, "run so often, and stop at the first failed MUST")
	c.Flags().BoolVar(&f.strict, "strict-features", false, "exit with 1 when the target has a feature, by what it answers, that it does not declare; without the flag that is said at the end of a whole run")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "show all of failed cases: the daemon's log, the delegates' calls, the steps")
	return c
}

// profileNames lists the suite's profiles.
func profileNames() []string {
	var names []string
	for _, p := range slices.Concat(all.Profiles(), plugins.Profiles()) {
		names = append(names, p.Name)
	}
	return names
}

func (f *runFlags) run(ctx context.Context, out io.Writer) error {
	settings, err := f.settings()
	if err != nil {
		return err
	}
	if conformance.IsChild() {
		conformance.RunChild(settings)
	}
	if f.repeat < 1 {
		return fmt.Errorf("--repeat %d: a run has to happen at least once", f.repeat)
	}
	switch strings.ToLower(f.level) {
	case "":
	case "must":
		f.selection.Level = conformance.Must
	case "should":
		f.selection.Level = conformance.Should
	default:
		return fmt.Errorf("--level %q is unknown; there are must and should", f.level)
	}
	for i := range f.repeat {
		if f.repeat > 1 {
			fmt.Fprintf(out, "run %d of %d\n", i+1, f.repeat)
		}
		if err := f.once(ctx, out, settings); err != nil {
			return err
		}
	}
	return nil
}

func (f *runFlags) once(ctx context.Context, out io.Writer, settings conformance.Settings) error {
	r, err := conformance.Judge(ctx, conformance.Options{
		Settings: settings, Selection: f.selection, Parallel: f.parallel, Seed: f.seed,
		Keep: f.keep, Rerun: f.rerun, Survey: f.strict || f.whole(),
		// The child is this command again, with the same flags.
		Command: func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...) },
		Progress: func(done, of int, r report.CaseResult) {
			fmt.Fprintf(out, "%3d/%d  %-7s  %-8s %5.1f s  %s\n", done, of, r.State, r.ID, r.Seconds, r.Title)
		},
	})
	if r != nil && f.report != "" {
		if writeErr := r.Write(f.report); writeErr != nil {
			return writeErr
		}
	}
	if err != nil {
		return err
	}
	summarize(out, r, f.verbose)
	if f.keep != "" {
		fmt.Fprintf(out, "kept in %s: a directory for each case, with output.txt, result.json, and the case's own directory e-…\n", f.keep)
	}
	tellUndeclared(out, r)
	if n := r.Count(conformance.Must); n.Failed > 0 || f.strict && len(r.Target.Undeclared) > 0 {
		return errFailed
	}
	must, should := r.Count(conformance.Must), r.Count(conformance.Should)
	if must.Passed+should.Passed+should.Failed == 0 {
		return fmt.Errorf("no case was executed: all %d were skipped or do not apply", len(r.Cases))
	}
	return nil
}

// whole reports whether no case is left out.
func (f *runFlags) whole() bool {
	return len(f.selection.IDs) == 0 && len(f.selection.Profiles) == 0 && f.selection.Level == ""
}

// tellUndeclared says which features the target has and does not declare.
func tellUndeclared(out io.Writer, r *report.Report) {
	if r.Target.Unsurveyed != "" {
		fmt.Fprintf(out, "\nwhether features are undeclared could not be found out: %s\n", r.Target.Unsurveyed)
	}
	var features []string
	for _, feature := range r.Target.Undeclared {
		features = append(features, fmt.Sprintf("%s (%s)", feature, thick.Features[feature]))
	}
	if len(features) > 0 {
		fmt.Fprintf(out, "\nundeclared features: %s\n  The target has them, by what it answers, and its file does not name them: the cases that need them were left out.\n",
			strings.Join(features, ", "))
	}
}

// rerun is the command that judges a case alone and keeps everything: this one,
// with the flags that name the target.
func (f *runFlags) rerun(id string) string {
	command := []string{os.Args[0], "run"}
	f.flags.Visit(func(flag *pflag.Flag) {
		if f.names(flag.Name) {
			command = append(command, "--"+flag.Name, quoted(flag.Value.String()))
		}
	})
	return strings.Join(append(command, "--only", id, "-v", "--keep", filepath.Join(os.TempDir(), "keep-"+id)), " ")
}

// quoted is a word for a shell.
func quoted(word string) string {
	if regexp.MustCompile(`^[\w@%+=:,./-]+$`).MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// summarize prints what was skipped or does not apply and why, what failed, and the counts.
func summarize(out io.Writer, r *report.Report, verbose bool) {
	for _, c := range r.Cases {
		for _, note := range c.Notes {
			fmt.Fprintf(out, "\n%s: %s\n", c.ID, note)
		}
		if c.State == report.Skipped || c.State == report.NotApplicable {
			fmt.Fprintf(out, "\n%s %s (%s): %s\n", c.State, c.ID, c.Title, c.Reason)
		}
	}
	for _, c := range r.Cases {
		if c.State != report.Failed {
			continue
		}
		story := c.Brief()
		if verbose {
			story = c.Story()
		}
		fmt.Fprintf(out, "\nFAILED %s %s: %s\n  source: %s\n  %s\n%s", c.Level, c.ID, c.Title, c.Source, strings.ReplaceAll(c.Reason, "\n", "\n  "), story)
	}
	fmt.Fprintf(out, "\n%s, version %q, judged by suite %s in %.0f s, seed %d\n\n", r.Target.Name, r.Target.Version, r.Suite.Version, r.Seconds, r.Seed)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "profile\tMUST passed\tfailed\tskipped\tn/a\tSHOULD passed\tfailed\tskipped\tn/a\t")
	total := report.ProfileSummary{Profile: "all", Must: r.Count(conformance.Must), Should: r.Count(conformance.Should)}
	for _, s := range append(r.Summary, total) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", s.Profile, s.Must.Passed, s.Must.Failed, s.Must.Skipped, s.Must.NotApplicable,
			s.Should.Passed, s.Should.Failed, s.Should.Skipped, s.Should.NotApplicable)
	}
	_ = t.Flush()
	for _, line := range r.Conformance() {
		fmt.Fprintf(out, "\n%s", line)
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped, %d not applicable\n", total.Must.Passed+total.Should.Passed,
		total.Must.Failed+total.Should.Failed, total.Must.Skipped+total.Should.Skipped, total.Must.NotApplicable+total.Should.NotApplicable)
}
