// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	gtypes "github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
)

// How the runner tells a child process what to do.
const (
	envCase   = "THICKET_CONFORMANCE_CASE"
	envResult = "THICKET_CONFORMANCE_RESULT"
	envStage  = "THICKET_CONFORMANCE_STAGE"
	// envWorkDir is where the case makes its directory.
	envWorkDir = "THICKET_CONFORMANCE_WORKDIR"
)

// gracePeriod is how long a body may go on that does not heed its deadline.
const gracePeriod = 3 * time.Second

// exitBroken is the exit status of a child that could not run its case at all.
const exitBroken = 3

// IsChild says whether this process was started by Judge to run one case. A
// program that calls Judge must then call RunChild, and do nothing else.
func IsChild() bool { return os.Getenv(envCase) != "" }

// RunChild runs the case that the parent asks for and ends the process.
func RunChild(s Settings) {
	if os.Getenv(envStage) == "" {
		runInit()
	}
	if os.Getenv(envCase) == benchCase {
		runBenchChild(s)
	}
	c, ok := find(os.Getenv(envCase))
	if !ok {
		fmt.Fprintf(os.Stderr, "conformance: case %q is not in this program\n", os.Getenv(envCase))
		os.Exit(exitBroken)
	}
	s.WorkDir = os.Getenv(envWorkDir)
	result := runSpec(c, s)
	data, err := json.Marshal(result)
	if err == nil {
		err = os.WriteFile(os.Getenv(envResult), data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance: the result cannot be written:", err)
		os.Exit(exitBroken)
	}
	os.Exit(0)
}

// failer is Ginkgo's testing.T: the report says more than it would.
type failer struct{}

// Fail implements ginkgo.GinkgoTestingT.
func (failer) Fail() {}

// runSpec runs one case as a Ginkgo suite of one spec.
func runSpec(c *Case, s Settings) CaseResult {
	result := CaseResult{ID: c.ID, Level: c.Level, Profile: c.Profile, Title: c.Title, Source: c.Source}
	if missing := missingFeature(c, s.Target); missing != "" {
		result.State, result.Reason = Skipped, fmt.Sprintf("%s does not support %s", s.Target.Name(), missing)
		return result
	}
	body, reason := bodyFor(c, s.Target)
	if body == nil {
		result.State, result.Reason = Skipped, reason
		return result
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	var seen string
	var calls []Call
	var notes []string
	var unserved bool
	ginkgo.Describe(c.Profile, ginkgo.Label(c.Profile, string(c.Level)), func() {
		ginkgo.It(c.ID+" "+c.Title, ginkgo.Label(c.ID), ginkgo.NodeTimeout(c.timeout()), ginkgo.GracePeriod(gracePeriod), func(ctx ginkgo.SpecContext) {
			e := newEnv(s, *c)
			ginkgo.DeferCleanup(func(ctx context.Context) {
				unserved = e.unserved
				defer func() { seen, notes, calls = e.story(), e.notes, e.Calls() }()
				e.teardown(ctx)
			}, ginkgo.NodeTimeout(teardownTimeout))
			body(ctx, e)
		})
	})
	ginkgo.ReportAfterSuite("result", func(r ginkgo.Report) { result.take(r) })
	suite, reporter := ginkgo.GinkgoConfiguration()
	reporter.NoColor = true
	reporter.Verbose = true
	suite.EmitSpecProgress = false
	ginkgo.RunSpecs(failer{}, "Thicket conformance", suite, reporter)
	result.Notes = notes
	if result.State == Failed {
		result.Output = seen
		result.Calls, result.CallsBefore = callResults(calls)
		if unserved {
			result.Failure = FailedUnserved
		}
	}
	return result
}

func missingFeature(c *Case, t Target) string {
	has := map[Feature]bool{}
	for _, f := range t.Features() {
		has[f] = true
	}
	for _, f := range c.Needs {
		if !has[f] {
			return features[f]
		}
	}
	return ""
}

// take reads the outcome of the one spec.
func (r *CaseResult) take(report ginkgo.Report) {
	r.State, r.Failure, r.Reason = Failed, FailedSuite, strings.Join(report.SpecialSuiteFailureReasons, "; ")
	for _, spec := range report.SpecReports {
		if spec.LeafNodeType != gtypes.NodeTypeIt {
			continue
		}
		r.Seconds = spec.RunTime.Seconds()
		switch {
		case spec.State.Is(gtypes.SpecStatePassed):
			r.State, r.Failure, r.Reason = Passed, "", ""
		case spec.State.Is(gtypes.SpecStateSkipped) && len(spec.AdditionalFailures) == 0:
			r.State, r.Failure, r.Reason = Skipped, "", spec.Failure.Message
		default:
			r.Failure, r.Reason = failureOf(spec), failureText(spec)
		}
	}
}

// failureOf says how a spec came to fail.
func failureOf(spec gtypes.SpecReport) Failure {
	switch {
	case spec.State.Is(gtypes.SpecStateTimedout):
		return FailedDeadline
	case !spec.State.Is(gtypes.SpecStateFailed):
		return FailedSuite
	case spec.Failure.FailureNodeType != gtypes.NodeTypeIt:
		return FailedLeftovers
	}
	return FailedAssertion
}

func failureText(spec gtypes.SpecReport) string {
	text := func(f gtypes.Failure) string {
		message := f.Message
		if f.ForwardedPanic != "" {
			message += ": " + f.ForwardedPanic
		}
		return fmt.Sprintf("%s\n  at %s", message, f.Location)
	}
	texts := []string{text(spec.Failure)}
	for _, more := range spec.AdditionalFailures {
		texts = append(texts, text(more.Failure))
	}
	return strings.Join(texts, "\n")
}
