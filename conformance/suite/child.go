// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	gtypes "github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/report"
)

// How the runner tells a child process what to do.
const (
	// envCase is the id of a case, or the name of a task.
	envCase   = "THICKET_CONFORMANCE_CASE"
	envResult = "THICKET_CONFORMANCE_RESULT"
	envStage  = "THICKET_CONFORMANCE_STAGE"
	// envWorkDir is where the case makes its directory.
	envWorkDir = "THICKET_CONFORMANCE_WORKDIR"
	// envEdition is the edition of the case.
	envEdition = "THICKET_CONFORMANCE_EDITION"
	// envKept is set when the case's directory stays.
	envKept = "THICKET_CONFORMANCE_KEPT"
)

// gracePeriod is how long a body may go on that does not heed its deadline.
const gracePeriod = 3 * time.Second

// exitBroken is the exit status of a child that could not run its case at all.
const exitBroken = 3

// IsChild reports whether this process was started to run one case or task. A
// program that calls Judge or RunTask must then call RunChild, and do nothing
// else.
func IsChild() bool { return os.Getenv(envCase) != "" }

// Child is what a child process can be asked for.
type Child struct {
	Settings
	Catalog *Catalog
	// Survey is the one of Options.
	Survey *Case
}

// RunChild runs the case or the task that the parent asks for, and ends the
// process.
func RunChild(c Child) {
	if os.Getenv(envCase) == startTask {
		os.Exit(0)
	}
	if os.Getenv(envStage) == "" {
		runInit()
	}
	c.WorkDir = os.Getenv(envWorkDir)
	answer, err := c.answer(os.Getenv(envCase))
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(exitBroken)
	}
	data, err := json.Marshal(answer)
	if err == nil {
		err = os.WriteFile(os.Getenv(envResult), data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance: the result cannot be written:", err)
		os.Exit(exitBroken)
	}
	os.Exit(0)
}

func (c *Child) answer(id string) (any, error) {
	if task, ok := c.Tasks[id]; ok {
		return task(c.Settings)
	}
	if c.Survey != nil && id == c.Survey.ID {
		return RunSpec(c.Survey, c.Settings), nil
	}
	k, ok := c.Catalog.Find(id)
	if !ok {
		return nil, fmt.Errorf("this program has no case %q", id)
	}
	if missing, state := c.Catalog.missing(k, c.Subject); missing != "" {
		result := resultOf(k)
		result.State, result.Reason = state, fmt.Sprintf("%s does not support %s", c.Subject.Name(), missing)
		return result, nil
	}
	return RunSpec(k, c.Settings), nil
}

// failer is Ginkgo's testing.T: the report says more than it would.
type failer struct{}

// Fail implements ginkgo.GinkgoTestingT.
func (failer) Fail() {}

// RunSpec runs one case in this process, as a Ginkgo suite of one spec. A
// process can do that once.
func RunSpec(c *Case, s Settings) report.CaseResult {
	result := resultOf(c)
	t := &T{Settings: s, Case: c, Edition: os.Getenv(envEdition), Kept: os.Getenv(envKept) != ""}
	gomega.RegisterFailHandler(ginkgo.Fail)
	bePatient()
	ginkgo.Describe(c.Profile, ginkgo.Label(c.Profile, string(c.Level)), func() {
		ginkgo.It(c.ID+" "+c.Title, ginkgo.Label(c.ID), ginkgo.NodeTimeout(Patience(c.timeout())), ginkgo.GracePeriod(Patience(gracePeriod)), func(ctx ginkgo.SpecContext) {
			c.runWatched(ctx, t)
		})
	})
	var all ginkgo.Report
	ginkgo.ReportAfterSuite("result", func(r ginkgo.Report) { all = r })
	suite, reporter := ginkgo.GinkgoConfiguration()
	reporter.NoColor = true
	reporter.Verbose = true
	suite.EmitSpecProgress = false
	ginkgo.RunSpecs(failer{}, "Thicket conformance", suite, reporter)
	t.take(&result, &all)
	return result
}

// runWatched runs the body, which ends early when there come to be too many
// processes.
func (c *Case) runWatched(ctx context.Context, t *T) {
	limited, cancel := context.WithCancelCause(ctx)
	crowd := watchCrowd(c.processes(), func(what string) { cancel(errors.New(what)) })
	ginkgo.DeferCleanup(func() {
		t.processes, t.crowded = crowd.end()
		cancel(nil)
	})
	c.Body(limited, t)
}

// take reads the outcome of the one spec.
func (t *T) take(to *report.CaseResult, r *ginkgo.Report) {
	to.State, to.Failure, to.Reason = report.Failed, report.FailedSuite, strings.Join(r.SpecialSuiteFailureReasons, "; ")
	to.Notes = t.notes
	for _, sr := range r.SpecReports {
		if sr.LeafNodeType != gtypes.NodeTypeIt {
			continue
		}
		to.Seconds = sr.RunTime.Seconds()
		switch {
		case sr.State.Is(gtypes.SpecStatePassed):
			to.State, to.Failure, to.Reason = report.Passed, "", ""
		case sr.State.Is(gtypes.SpecStateSkipped) && len(sr.AdditionalFailures) == 0:
			to.State, to.Failure, to.Reason = report.Skipped, "", sr.Failure.Message
		default:
			to.Failure = failureOf(sr)
			explain(to, &sr, Patience(t.Case.timeout()), &t.told)
		}
	}
	to.Processes = t.processes
	if t.crowded != "" {
		to.State, to.Failure, to.Unworded = report.Failed, report.FailedAssertion, false
		to.Reason = strings.TrimSpace(t.crowded + "\n" + strings.ReplaceAll(to.Reason, ": "+t.crowded, ""))
	}
	if to.State != report.Failed {
		return
	}
	to.Output, to.Calls, to.CallsBefore, to.Steps = t.told.Output, t.told.Calls, t.told.CallsBefore, t.told.Steps
	if to.Failure == report.FailedDeadline && strings.TrimSpace(to.Output) == "" {
		to.Output = "The target printed nothing.\n"
	}
	if t.unserved {
		to.Failure = report.FailedUnserved
	}
}

// failureOf says how a spec came to fail.
func failureOf(sr gtypes.SpecReport) report.Failure {
	switch {
	case sr.State.Is(gtypes.SpecStateTimedout):
		return report.FailedDeadline
	case sr.State.Is(gtypes.SpecStateSkipped):
		return report.FailedLeftovers // only cleaning up comes after a skip
	case !sr.State.Is(gtypes.SpecStateFailed):
		return report.FailedSuite
	case sr.Failure.FailureNodeType != gtypes.NodeTypeIt:
		return report.FailedLeftovers
	}
	return report.FailedAssertion
}
