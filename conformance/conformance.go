// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/plugin"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/runtime"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/subjects"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

// What programs need of the packages below this one.
type (
	// Subject is what every kind of target has.
	Subject = suite.Subject
	// Settings are what every case of a run gets.
	Settings = subjects.Settings
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
	// Slow multiplies all deadlines: that of suite.Options.
	Slow     float64
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
func Catalog(more ...Profile) (*suite.Catalog, error) { return subjects.Catalog(more...) }

// Load reads a target file of any kind; its key kind says which.
func Load(path string) (Subject, error) { return subjects.Load(path) }

// options are those of the engine.
func (o *Options) options() (suite.Options, error) {
	to := suite.Options{
		Selection: o.Selection, Command: o.Command, Parallel: o.Parallel, Keep: o.Keep, Rerun: o.Rerun, Seed: o.Seed, Slow: o.Slow, Progress: o.Progress,
		Watch: o.Watch, Waivers: o.Waivers, Baseline: o.Baseline, Implementation: o.Implementation,
	}
	return to, o.Fill(&to, o.Survey, o.API)
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

// LoadTarget reads the target file of a thick plugin. Unknown keys, missing
// ones, templates that do not parse and executables that are not there are
// errors that name the file and the key.
func LoadTarget(path string) (Target, error) { return thick.LoadTarget(path) }

// SocketTarget is a daemon that already runs, by its run directory; see
// thick.SocketTarget.
func SocketTarget(runDir string) (Target, error) { return thick.SocketTarget(runDir) }
