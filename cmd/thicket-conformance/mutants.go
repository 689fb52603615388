// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/apiserver"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/mutation"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// The kinds of mutants that are told apart here.
const (
	kindDaemon    = "daemon"
	kindShim      = "shim"
	kindInstaller = "installer"
)

type mutantsFlags struct {
	targetFlags
	binary, shim, installer string
	thin, thinRuntime       string
	second                  string
	report                  string
	choice                  mutation.Choice
	parallel                int
	unclaimed, verbose      bool
	again                   int

	// judged and links are how a child process is told its mutant and where the
	// shims have been put under their mutants' names.
	judged mutation.Mutant
	links  string
	// api is what the mutants that need an API server share.
	api *kube.API
}

func mutantsCommand() *cobra.Command {
	var f mutantsFlags
	c := &cobra.Command{
		Use:   "mutants",
		Short: "Prove that the cases can fail: judge implementations with one deliberate fault each",
		Long: "mutants judges implementations with one deliberate fault each, by the cases that claim to notice it.\n" +
			"A mutant is killed when each of them fails by an assertion of its own; one that survives is a case that cannot fail.\n" +
			"The same cases must pass against the same program without a fault. It exits with 1 when a mutant survives,\n" +
			"or when the report of one does not say in the case's own words what is wrong.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	f.register(c)
	beside := besideSelf()
	flags := c.Flags()
	_ = flags.MarkHidden("target")
	flags.StringVar(&f.second, "second", filepath.Join(beside, "thicket-second"), "the program of the second implementation's mutants, a `file`")
	flags.StringVar(&f.thin, "thin", filepath.Join(beside, "thin-plugin"), "the program of the CNI plugins that are mutants, a `file`")
	flags.StringVar(&f.thinRuntime, "thin-runtime", filepath.Join(beside, "runtimes", "thin-runtime"), "the program of the runtimes that are mutants, a `file`")
	f.registerPrograms(flags)
	flags.StringSliceVar(&f.choice.Names, "only", nil, "only these mutants, by `name` or pattern")
	flags.StringSliceVar(&f.choice.IDs, "ids", nil, "only the mutants that these cases claim, by `id` or pattern, such as SOCK-*")
	flags.StringVar(&f.report, "report", "", "write mutants.json into this `directory`")
	flags.Uint64Var(&f.choice.Seed, "seed", 1, "what the sample is drawn by")
	flags.IntVar(&f.choice.Sample, "sample", 0, "judge so many mutants, drawn by the seed; 0 means all")
	flags.IntVar(&f.parallel, "parallel", 0, "how many cases run side by side; 0 means three times the cores")
	flags.IntVar(&f.again, "again", 2, "how often a trial that ended wrongly is tried once more, with nothing beside it; the verdict lists those")
	flags.BoolVar(&f.unclaimed, "unclaimed", false, "judge each mutant also by the other cases of its profiles, and list which of them fail too; takes long")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show why each case failed, and the daemon's log of what went wrong")
	f.registerHidden(flags)
	return c
}

// registerPrograms adds the flags that name what a mutant of Thicket is made of.
func (f *mutantsFlags) registerPrograms(flags *pflag.FlagSet) {
	beside := besideSelf()
	flags.StringVar(&f.binary, "mutants", filepath.Join(beside, "thicket-mutants"), "the program of the mutants, a `file`")
	flags.StringVar(&f.shim, "shim", filepath.Join(beside, "thicket-shim"), "the shim of mutants that are daemons, a `file`")
	flags.StringVar(&f.installer, "installer", filepath.Join(beside, "thicketd"), "the installer of mutants that are not, a `file`")
}

// The flags that a child process gets beside those of the command itself.
const (
	flagJudged = "judged"
	flagFamily = "judged-family"
	flagKind   = "judged-kind"
	flagLinks  = "links"
	flagAPI    = "judged-kubernetes"
)

func (f *mutantsFlags) registerHidden(flags *pflag.FlagSet) {
	flags.StringVar(&f.judged.Name, flagJudged, "", "")
	flags.StringVar(&f.judged.Family, flagFamily, "", "")
	flags.StringVar(&f.judged.Kind, flagKind, "", "")
	flags.StringVar(&f.links, flagLinks, "", "")
	flags.BoolVar(&f.judged.Kubernetes, flagAPI, false, "")
	for _, name := range []string{flagJudged, flagFamily, flagKind, flagLinks, flagAPI} {
		_ = flags.MarkHidden(name)
	}
}

func (f *mutantsFlags) run(ctx context.Context, out io.Writer) error {
	if conformance.IsChild() {
		settings, err := f.settingsFor(&f.judged)
		if err != nil {
			return err
		}
		conformance.RunChild(settings)
	}
	all, err := f.list(ctx)
	if err != nil {
		return err
	}
	chosen, err := f.choice.Of(all)
	if err != nil {
		return fmt.Errorf("%w; %s --list, %s --list, %s --list and %s --list have them all", err, f.binary, f.second, f.thin, f.thinRuntime)
	}
	if f.links, err = os.MkdirTemp("", "tm-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(f.links) }()
	v, err := f.judge(ctx, out, chosen)
	if err != nil {
		return err
	}
	if f.report != "" {
		if err := v.Write(f.report); err != nil {
			return err
		}
	}
	v.Print(out, f.verbose)
	switch {
	case len(v.Survived) > 0 || len(v.Poor) > 0:
		return errFailed
	case len(v.NotJudged) > 0 && len(v.Killed) == 0:
		return fmt.Errorf("no mutant was judged: %s", v.NotJudged[0].Why)
	}
	return nil
}

// judge has the chosen mutants judged. Those that need an API server are left
// out, and the verdict says so, where none can be had.
func (f *mutantsFlags) judge(ctx context.Context, out io.Writer, chosen []mutation.Mutant) (v *mutation.Verdict, err error) {
	catalog, err := conformance.Catalog()
	if err != nil {
		return nil, err
	}
	lacking, err := f.openAPI(ctx, chosen)
	if err != nil {
		return nil, err
	}
	if f.api != nil {
		defer func() { err = errors.Join(err, f.api.Close()) }()
	}
	notJudged := []mutation.Survivor{}
	judged := slices.DeleteFunc(slices.Clone(chosen), func(m mutation.Mutant) bool {
		if lacking == "" || !m.Kubernetes || m.Equivalent != "" {
			return false
		}
		notJudged = append(notJudged, mutation.Survivor{Mutant: m.Name, Case: strings.Join(m.Cases, ", "), Why: lacking})
		return true
	})
	v, err = mutation.Judge(ctx, judged, mutation.Options{
		Catalog: catalog, Try: f.try, Parallel: f.parallel, Unclaimed: f.unclaimed, Again: f.again,
		Progress: func(done, of int, t *mutation.Trial) {
			fmt.Fprintf(out, "%3d/%d  %-9s  %-8s %5.1f s  %s\n", done, of, t.Outcome, t.ID, t.Seconds, t.Mutant)
		},
	})
	if err != nil {
		return nil, err
	}
	v.NotJudged = notJudged
	return v, nil
}

// try runs one case against one mutant.
func (f *mutantsFlags) try(ctx context.Context, m *mutation.Mutant, id string) (*report.CaseResult, error) {
	settings, err := f.settingsFor(m)
	if err != nil {
		return nil, err
	}
	r, err := conformance.Judge(ctx, conformance.Options{
		Settings: settings, Selection: conformance.Selection{IDs: []string{id}}, Parallel: 1, API: f.api,
		Command: func(ctx context.Context) *exec.Cmd {
			args := []string{"--" + flagJudged, m.Name, "--" + flagFamily, m.Family, "--" + flagKind, m.Kind, "--" + flagLinks, f.links}
			if m.Kubernetes {
				args = append(args, "--"+flagAPI)
			}
			return exec.CommandContext(ctx, "/proc/self/exe", append(slices.Clone(os.Args[1:]), args...)...)
		},
	})
	if err != nil {
		return nil, err
	}
	return &r.Cases[0], nil
}

// openAPI makes the API server ready that mutants share which need one; lacking
// is why there is none.
func (f *mutantsFlags) openAPI(ctx context.Context, chosen []mutation.Mutant) (lacking string, err error) {
	if !slices.ContainsFunc(chosen, func(m mutation.Mutant) bool { return m.Kubernetes && m.Equivalent == "" }) {
		return "", nil
	}
	t, err := f.targetFor(&mutation.Mutant{Name: mutation.Baseline, Kind: kindDaemon, Kubernetes: true})
	if err != nil {
		return "", err
	}
	settings := thick.Settings{Kubeconfig: f.kubeconfig, KubernetesAssets: f.assets}
	f.api, err = kube.HostAPI(ctx, settings.API(t), "")
	var missing *apiserver.MissingError
	if errors.As(err, &missing) {
		return err.Error(), nil
	}
	return "", err
}

// list asks the programs of the mutants which there are.
func (f *mutantsFlags) list(ctx context.Context) ([]mutation.Mutant, error) {
	all, err := listed(ctx, f.binary, "fakes/mutants")
	if err != nil {
		return nil, err
	}
	catalog, err := conformance.Catalog()
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Family = familyOf(&all[i], catalog)
	}
	seconds, err := listed(ctx, f.second, "fakes/second")
	if err != nil {
		return nil, err
	}
	for _, m := range seconds {
		m.Family, m.Name = familySecond, familySecond+"-"+m.Name
		all = append(all, m)
	}
	thin, err := listed(ctx, f.thin, "fakes/plugin/thin")
	if err != nil {
		return nil, err
	}
	runtimes, err := listed(ctx, f.thinRuntime, "fakes/runtime/thin")
	if err != nil {
		return nil, err
	}
	thin = append(thin, runtimes...)
	for i := range thin {
		// Each of the plugin's roles is an implementation of its own.
		thin[i].Family = thin[i].Kind
	}
	return append(all, thin...), nil
}

// listed asks a program for its mutants. It is built from a package of this
// module.
func listed(ctx context.Context, binary, from string) ([]mutation.Mutant, error) {
	data, err := exec.CommandContext(ctx, binary, "--list", "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("the mutants: %w; build them with: go build -o %s github.com/thicket-cni/thicket/%s", err, filepath.Base(binary), from)
	}
	var all []mutation.Mutant
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("the list of %s: %w", binary, err)
	}
	return all, nil
}
