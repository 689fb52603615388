// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thicket-cni/thicket/conformance"
	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/all"
)

type runFlags struct {
	targetFlags
	gateFlags
	selection      conformance.Selection
	implementation conformance.Implementation
	level          string
	report         string
	summary        string
	done           string
	keep           string
	parallel       int
	seed           uint64
	repeat         int
	slow           string
	verbose        bool
	strict         bool
	flags          *pflag.FlagSet
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Judge a target",
		Example: "  thicket-conformance run --target in-process\n" +
			"  thicket-conformance run --target conformance/targets/thicket.yaml --profiles add,del --report report/",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			err := f.run(c.Context(), c.OutOrStdout())
			if f.done != "" {
				err = errors.Join(err, done(f.done, f.report, err))
			}
			return err
		},
	}
	f.register(c)
	f.registerGate(c)
	f.flags = c.Flags()
	c.Flags().StringSliceVar(&f.selection.Profiles, "profiles", nil, "only these `profiles`: "+strings.Join(profileNames(), ", "))
	c.Flags().StringSliceVar(&f.selection.IDs, "only", nil, "only these cases, by `id` or pattern, such as SOCK-*")
	c.Flags().StringSliceVar(&f.selection.Skip, "skip", nil, "without these cases, by `id` or pattern; the report says so")
	c.Flags().StringVar(&f.level, "level", "", "only this `level`: must or should")
	c.Flags().StringVar(&f.report, "report", "", "write report.json, report.yaml, report.html and junit.xml into this `directory`")
	c.Flags().StringVar(&f.summary, "summary", "", "append a summary in Markdown to this `file`, such as $GITHUB_STEP_SUMMARY: failures first, each with the way to repeat it alone")
	c.Flags().StringVar(&f.done, "done", "", "at the end write the path of an archive of --report's files into this `file`, as plugins of Sonobuoy do")
	c.Flags().StringVar(&f.keep, "keep", "", "keep what the cases make in this `directory`: configurations, logs, calls, records; each case in one of its own")
	c.Flags().IntVar(&f.parallel, "parallel", 0, "how many cases run side by side; 0 means twice the cores, 8 at most")
	c.Flags().Uint64Var(&f.seed, "seed", 0, "the order of the cases, to repeat a run; 0 is another one each time")
	c.Flags().IntVar(&f.repeat, "repeat", 1, "run so often, and stop at the first failed MUST")
	c.Flags().StringVar(&f.slow, "slow", "1", "multiply all deadlines by this `factor`, for a slow machine; auto measures it at the start. The report says so: requirements that name a time are judged by that much less")
	c.Flags().BoolVar(&f.strict, "strict-features", false, "exit with 1 when the target has a feature, by what it answers, that it does not declare; without the flag that is said at the end of a whole run")
	c.Flags().StringVar(&f.implementation.Organization, "organization", "", "for the report: the `name` of the organization that makes the implementation")
	c.Flags().StringVar(&f.implementation.Project, "project", "", "for the report: the implementation's own `name`")
	c.Flags().StringVar(&f.implementation.URL, "url", "", "for the report: the implementation's `address`")
	c.Flags().StringSliceVar(&f.implementation.Contact, "contact", nil, "for the report: `people` or teams to ask, as @owner/team or addresses")
	c.Flags().StringVar(&f.implementation.Version, "implementation-version", "", "for the report: the implementation's `version`, in place of what the target tells")
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
	if err := f.load(); err != nil {
		return err
	}
	slow, err := factorOf(ctx, f.slow)
	if err != nil {
		return err
	}
	for i := range f.repeat {
		if f.repeat > 1 {
			fmt.Fprintf(out, "run %d of %d\n", i+1, f.repeat)
		}
		if err := f.once(ctx, out, settings, slow); err != nil {
			return err
		}
	}
	return nil
}

// self is this command again, with the same flags: a case's process.
func self(ctx context.Context) *exec.Cmd {
	return exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
}

// factorOf is what --slow says, or what is measured.
func factorOf(ctx context.Context, slow string) (float64, error) {
	if slow == "auto" {
		return suite.MeasureSlow(ctx, self)
	}
	factor, err := suite.ParseSlow(slow)
	if err != nil {
		return 0, fmt.Errorf("--slow %w, or auto", err)
	}
	return factor, nil
}

func (f *runFlags) once(ctx context.Context, out io.Writer, settings conformance.Settings, slow float64) error {
	progress := watch(out)
	r, err := conformance.Judge(ctx, conformance.Options{
		Settings: settings, Selection: f.selection, Parallel: f.parallel, Seed: f.seed, Slow: slow,
		Keep: f.keep, Rerun: f.rerun, Survey: f.strict || f.whole(),
		Waivers: f.known, Baseline: f.before, Implementation: f.implementation,
		Command: self, Progress: progress.ended, Watch: progress.moved,
	})
	progress.close()
	if r != nil {
		err = errors.Join(err, f.write(r))
	}
	if err != nil {
		return err
	}
	summarize(out, r, f.verbose)
	if f.keep != "" {
		fmt.Fprintf(out, "kept in %s: a directory for each case, with output.txt, result.json, and the case's own directory e-…\n", f.keep)
	}
	tellUndeclared(out, r)
	f.tell(out, r)
	if len(r.Gating()) > 0 || f.strict && len(r.Target.Undeclared) > 0 {
		return errFailed
	}
	if n := r.Total(); n.Passed+n.Failed+n.Waived == 0 {
		return fmt.Errorf("no case was executed: all %d were skipped or do not apply", len(r.Cases))
	}
	return nil
}

// write writes the files that were asked for.
func (f *runFlags) write(r *report.Report) error {
	var all []error
	if f.report != "" {
		all = append(all, r.Write(f.report))
	}
	if f.summary != "" {
		all = append(all, r.AppendSummary(f.summary))
	}
	return errors.Join(all...)
}

// whole reports whether no case is left out.
func (f *runFlags) whole() bool {
	s := f.selection
	return len(s.IDs)+len(s.Profiles)+len(s.Skip) == 0 && s.Level == ""
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
	f.flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && f.names(flag.Name) {
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
