// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/thicket-cni/thicket/conformance"
	"github.com/thicket-cni/thicket/conformance/apiserver"
)

// mutant is a faulty implementation as the program of the mutants lists it.
type mutant struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Fault string `json:"fault"`
	// Cases claim it: each of them has to fail.
	Cases []string `json:"cases"`
	// Unserved says that the fault is that the daemon does not come to serve.
	Unserved bool `json:"unserved,omitempty"`
	// Kubernetes says that the fault shows with an API server only.
	Kubernetes bool `json:"kubernetes,omitempty"`
	// Equivalent is why nothing can tell it from an implementation without a
	// fault; it is listed and not judged.
	Equivalent string `json:"equivalent,omitempty"`
}

// baseline is the mutant without a fault, which has to pass every case that
// claims another.
const baseline = "none"

// The kinds of mutants that are told apart here.
const (
	kindDaemon    = "daemon"
	kindShim      = "shim"
	kindInstaller = "installer"
)

type mutantsFlags struct {
	targetFlags
	binary, shim, installer string
	only, ids               []string
	report                  string
	seed                    uint64
	sample, parallel        int
	verbose                 bool

	// judged and links are how a child process is told its mutant and where the
	// shims have been put under their mutants' names.
	judged mutant
	links  string
	// api is what the mutants that need an API server share.
	api *conformance.API
}

func mutantsCommand() *cobra.Command {
	var f mutantsFlags
	c := &cobra.Command{
		Use:   "mutants",
		Short: "Prove that the cases can fail: judge implementations with one deliberate fault each",
		Long: "mutants judges implementations with one deliberate fault each, by the cases that claim to notice it.\n" +
			"A mutant is killed when each of them fails by an assertion of its own; one that survives is a case that cannot fail.\n" +
			"The same cases must pass against the same program without a fault. It exits with 1 when a mutant survives.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), c.OutOrStdout()) },
	}
	f.register(c)
	beside := besideSelf()
	flags := c.Flags()
	_ = flags.MarkHidden("target")
	flags.StringVar(&f.binary, "mutants", filepath.Join(beside, "thicket-mutants"), "the program of the mutants, a `file`")
	flags.StringVar(&f.shim, "shim", filepath.Join(beside, "thicket-shim"), "the shim of mutants that are daemons, a `file`")
	flags.StringVar(&f.installer, "installer", filepath.Join(beside, "thicketd"), "the installer of mutants that are not, a `file`")
	flags.StringSliceVar(&f.only, "only", nil, "only these mutants, by `name`")
	flags.StringSliceVar(&f.ids, "ids", nil, "only the mutants that these cases claim, by `id`")
	flags.StringVar(&f.report, "report", "", "write mutants.json into this `directory`")
	flags.Uint64Var(&f.seed, "seed", 1, "what the sample is drawn by")
	flags.IntVar(&f.sample, "sample", 0, "judge so many mutants, drawn by the seed; 0 means all")
	flags.IntVar(&f.parallel, "parallel", 0, "how many cases run side by side; 0 means three times the cores")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show why each case failed, and the daemon's log of what went wrong")
	f.registerHidden(flags)
	return c
}

// The flags that a child process gets beside those of the command itself.
const (
	flagJudged = "judged"
	flagKind   = "judged-kind"
	flagLinks  = "links"
	flagAPI    = "judged-kubernetes"
)

func (f *mutantsFlags) registerHidden(flags *pflag.FlagSet) {
	flags.StringVar(&f.judged.Name, flagJudged, "", "")
	flags.StringVar(&f.judged.Kind, flagKind, "", "")
	flags.StringVar(&f.links, flagLinks, "", "")
	flags.BoolVar(&f.judged.Kubernetes, flagAPI, false, "")
	for _, name := range []string{flagJudged, flagKind, flagLinks, flagAPI} {
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
	chosen, err := f.choose(all)
	if err != nil {
		return err
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
		if err := v.write(f.report); err != nil {
			return err
		}
	}
	v.print(out, f.verbose)
	switch {
	case len(v.Survived) > 0:
		return errFailed
	case len(v.NotJudged) > 0 && len(v.Killed) == 0:
		return fmt.Errorf("no mutant was judged: %s", v.NotJudged[0].Why)
	}
	return nil
}

// judge runs the trials of the chosen mutants. Those that need an API server
// are left out, and the verdict says so, where none can be had.
func (f *mutantsFlags) judge(ctx context.Context, out io.Writer, chosen []mutant) (v *verdict, err error) {
	lacking, err := f.openAPI(ctx, chosen)
	if err != nil {
		return nil, err
	}
	if f.api != nil {
		defer func() { err = errors.Join(err, f.api.Close()) }()
	}
	notJudged := []survivor{}
	judged := slices.DeleteFunc(slices.Clone(chosen), func(m mutant) bool {
		if lacking == "" || !m.Kubernetes || m.Equivalent != "" {
			return false
		}
		notJudged = append(notJudged, survivor{m.Name, strings.Join(m.Cases, ", "), lacking})
		return true
	})
	trials, err := f.trials(judged)
	if err != nil {
		return nil, err
	}
	results, err := f.judgeAll(ctx, out, trials)
	if err != nil {
		return nil, err
	}
	v = verdictOf(judged, results)
	v.NotJudged = notJudged
	return v, nil
}

// openAPI makes the API server ready that mutants share which need one; lacking
// is why there is none.
func (f *mutantsFlags) openAPI(ctx context.Context, chosen []mutant) (lacking string, err error) {
	if !slices.ContainsFunc(chosen, func(m mutant) bool { return m.Kubernetes && m.Equivalent == "" }) {
		return "", nil
	}
	settings, err := f.settingsFor(&mutant{Name: baseline, Kind: kindDaemon, Kubernetes: true})
	if err != nil {
		return "", err
	}
	f.api, err = conformance.HostAPI(ctx, settings)
	var missing *apiserver.MissingError
	if errors.As(err, &missing) {
		return err.Error(), nil
	}
	return "", err
}

// list asks the program of the mutants which there are.
func (f *mutantsFlags) list(ctx context.Context) ([]mutant, error) {
	data, err := exec.CommandContext(ctx, f.binary, "--list", "-o", "json").Output()
	if err != nil {
		return nil, fmt.Errorf("the mutants: %w; build them with: go build -o thicket-mutants github.com/thicket-cni/thicket/fakes/mutants", err)
	}
	var all []mutant
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("the list of %s: %w", f.binary, err)
	}
	return all, nil
}

// choose keeps the mutants that the flags ask for, in the list's order. The
// baseline is not among them.
func (f *mutantsFlags) choose(all []mutant) ([]mutant, error) {
	for _, name := range f.only {
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.Name == name }) {
			return nil, fmt.Errorf("mutant %q is unknown; %s --list has them all", name, f.binary)
		}
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(m mutant) bool {
		claimed := slices.ContainsFunc(m.Cases, func(id string) bool { return slices.Contains(f.ids, id) })
		return m.Name == baseline || len(f.only) > 0 && !slices.Contains(f.only, m.Name) || len(f.ids) > 0 && !claimed
	})
	if f.sample > 0 && f.sample < len(chosen) {
		// A sample for CI need not be unpredictable, it must be repeatable.
		draw := rand.New(rand.NewPCG(f.seed, 0)) //nolint:gosec // see above
		draw.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
		chosen = chosen[:f.sample]
		slices.SortStableFunc(chosen, func(a, b mutant) int {
			at := func(m mutant) int { return slices.IndexFunc(all, func(o mutant) bool { return o.Name == m.Name }) }
			return at(a) - at(b)
		})
	}
	if len(chosen) == 0 {
		return nil, errors.New("no mutant is chosen")
	}
	return chosen, nil
}

func (f *mutantsFlags) workers() int {
	if f.parallel > 0 {
		return f.parallel
	}
	// Most of a failing case's time is spent waiting for what does not come.
	return 3 * runtime.NumCPU()
}
