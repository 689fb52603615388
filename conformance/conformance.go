// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/thicket-cni/thicket/conformance/explain"
	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/plugin"
	plugins "github.com/thicket-cni/thicket/conformance/plugin/all"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/runtime/cases"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/thick/all"
)

// What programs need of the packages below this one.
type (
	// Subject is what every kind of target has.
	Subject = suite.Subject
	// Target is a thick plugin to judge.
	Target = thick.Target
	// Plugin is a CNI plugin to judge.
	Plugin = plugin.Target
	// Runtime is whoever executes CNI plugins, to be judged.
	Runtime = runtime.Target
	// Paths are what a case gives a Target.
	Paths = thick.Paths
	// Process is a daemon that a Target started.
	Process = thick.Process
	// Profile is a group of cases for one kind of target.
	Profile = suite.Profile
	// Case is one requirement, and the behaviour that shows whether it is kept.
	Case = suite.Case
	// Selection says which cases to run.
	Selection = suite.Selection
	// Report is what a run found.
	Report = report.Report
	// CaseResult is one case of a Report.
	CaseResult = report.CaseResult
	// Waivers are failures that are known, and do not gate until a day.
	Waivers = report.Waivers
	// Implementation says whose a target is, for a report that is published.
	Implementation = report.Implementation
	// Level says what a failed case means.
	Level = spec.Level
	// Feature is an ability that a target may have.
	Feature = spec.Feature
)

// Version is the suite's version; Must and Should are the levels.
const (
	Version = spec.Version
	Must    = spec.Must
	Should  = spec.Should
)

// Settings are what every case of a run gets. Target is required.
type Settings struct {
	// Target is judged: Load's, or one's own.
	Target Subject
	// Profiles are judged beside the suite's own. A profile says which kind of
	// target it judges.
	Profiles []Profile
	// Delegates, unless nil, takes the place of the thick plugin that the target file
	// of a runtime names.
	Delegates Target
	// Setup reaches the cases of a target whose kind is not the suite's, in
	// suite.T.
	Setup any
	// NoPreflight has a plugin or a runtime judged although no ADD succeeds at all.
	NoPreflight bool
	// FakeDelegate is a program to execute as the suite's delegate plugin, or its
	// IPAM plugin: one that imports fakes/delegate. Empty means this program itself.
	FakeDelegate string
	// PluginDir holds the real plugins (bridge, host-local …). Cases that need
	// those are skipped without it.
	PluginDir string
	// Kubeconfig names a cluster whose API is used, for a target with the feature
	// kubernetes. Without it the suite starts etcd and kube-apiserver of the
	// directory KubernetesAssets, or of the one that KUBEBUILDER_ASSETS names.
	Kubeconfig, KubernetesAssets string
	// WorkDir is where cases make their directories; empty for the system's.
	WorkDir string
}

// Options is what Judge needs.
type Options struct {
	Settings
	Selection Selection
	// Survey looks for features that the target has by what it answers and does not
	// declare: Report.Target has them.
	Survey bool
	// Command makes the command that runs this program as a child: IsChild is
	// true in it, and it must call RunChild with the same Settings.
	Command func(ctx context.Context) *exec.Cmd
	// Parallel, Seed, Keep, Rerun and Progress are those of suite.Options.
	Parallel int
	Keep     string
	Rerun    func(id string) string
	Seed     uint64
	Progress func(done, of int, r CaseResult)
	// Watch, Waivers, Baseline and Implementation are those of suite.Options.
	Watch          func(suite.Live)
	Waivers        *Waivers
	Baseline       *Report
	Implementation Implementation
	// API is the API server that several runs share; nil means one of this run's own.
	API *kube.API
}

// Catalog returns the suite's own profiles, and those of somebody else behind
// them.
func Catalog(more ...Profile) (*suite.Catalog, error) {
	return suite.NewCatalog(slices.Concat(all.Profiles(), plugins.Profiles(), []Profile{cases.Profile()}, more)...)
}

// options are those of the engine.
func (o *Options) options() (suite.Options, error) {
	catalog, err := Catalog(o.Profiles...)
	if err != nil {
		return suite.Options{}, err
	}
	to := suite.Options{
		Settings: suite.Settings{Subject: o.Target, Setup: o.Setup, WorkDir: o.WorkDir}, Catalog: catalog, Selection: o.Selection,
		Command: o.Command, Parallel: o.Parallel, Keep: o.Keep, Rerun: o.Rerun, Seed: o.Seed, Progress: o.Progress,
		Watch: o.Watch, Waivers: o.Waivers, Baseline: o.Baseline, Implementation: o.Implementation,
		Explain: func(id string) string { return explain.Text(catalog, id) },
	}
	if _, err := os.Stat(cmp.Or(o.Kubeconfig, os.DevNull)); err != nil { // also for a target that has no use for it
		return to, fmt.Errorf("the kubeconfig: %w", err)
	}
	if t, ok := o.Target.(Target); ok {
		settings := thick.Settings{Target: t, FakeDelegate: o.FakeDelegate, PluginDir: o.PluginDir, Kubeconfig: o.Kubeconfig, KubernetesAssets: o.KubernetesAssets}
		to.Setup, to.Services = settings, settings.Services(o.API)
		if _, runs := t.(thick.LiveTarget); o.Survey && !runs {
			survey := thick.Undeclared()
			to.Survey = &survey
		}
	}
	if t, ok := o.Target.(*Plugin); ok {
		settings := plugin.Settings{Target: t, FakeDelegate: o.FakeDelegate, NoPreflight: o.NoPreflight}
		to.Setup, to.Services, to.Tasks = settings, settings.Services(), settings.Tasks()
	}
	if t, ok := o.Target.(*Runtime); ok {
		err = o.judgeRuntime(t, &to)
	}
	return to, err
}

// Judge executes the selected cases against the target and reports. It fails
// only when the suite itself cannot run; what the target does is in the report.
func Judge(ctx context.Context, o Options) (*Report, error) {
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	return suite.Judge(ctx, options)
}

// IsChild reports whether this process was started by Judge to run one case. A
// program that calls Judge must then call RunChild, and do nothing else.
func IsChild() bool { return suite.IsChild() }

// RunChild runs the case that the parent asks for and ends the process.
func RunChild(s Settings) {
	options, err := (&Options{Settings: s, Survey: true}).options()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
	suite.RunChild(suite.Child{Settings: options.Settings, Catalog: options.Catalog, Survey: options.Survey})
}

// Load reads a target file of any kind; its key kind says which.
func Load(path string) (Subject, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	var head struct {
		Kind string `yaml:"kind"`
	}
	if err := yaml.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("target %s: %w", path, err)
	}
	switch head.Kind {
	case thick.TargetKind:
		return thick.ParseTarget(data, path, "")
	case plugin.TargetKind:
		return plugin.Parse(data, path)
	case runtime.TargetKind:
		return runtime.Parse(data, path)
	}
	return nil, fmt.Errorf("target %s: kind %q is unknown; there are %s, a thick plugin, %s, any CNI plugin, and %s, whoever executes plugins",
		path, head.Kind, thick.TargetKind, plugin.TargetKind, runtime.TargetKind)
}

// LoadTarget reads the target file of a thick plugin. Unknown keys, missing
// ones, templates that do not parse and executables that are not there are
// errors that name the file and the key.
func LoadTarget(path string) (Target, error) { return thick.LoadTarget(path) }

// SocketTarget is a daemon that already runs, by its run directory; see
// thick.SocketTarget.
func SocketTarget(runDir string) (Target, error) { return thick.SocketTarget(runDir) }
