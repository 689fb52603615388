// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"context"
	"fmt"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Name is the profile's.
const Name = "runtime"

// teardownTimeout bounds what follows a case's body.
const teardownTimeout = 30 * time.Second

// Settings are what the cases of a run get, in suite.Settings.Setup.
type Settings struct {
	Target *Target
	// FakeDelegate is a program to execute as the suite's recording plugins: one
	// that imports fakes/delegate. Empty means this program.
	FakeDelegate string
	// NoPreflight has the cases judged whether or not an ADD succeeds at all.
	NoPreflight bool
	// Drivers make the drivers of runtimes that are not asked by commands, by the
	// key of the target file: cri, thick.
	Drivers map[string]MakeDriver
	// Beside are the services that drivers need. They are open before the preflight.
	Beside []suite.Service
	// Seen are directories of the host that have to be visible in a case, beside
	// those that the target file names.
	Seen []string
}

// MakeDriver makes the driver of a case's runtime, and starts the runtime.
type MakeDriver func(ctx context.Context, e *Env) (Driver, error)

// driver makes the driver for what the target file says.
func (s *Settings) driver(ctx context.Context, e *Env) (Driver, error) {
	way := ""
	switch r := &s.Target.file.Runtime; {
	case r.CRI != "":
		way = "cri"
	case r.Thick != "":
		way = "thick"
	default:
		if err := e.StartDaemon(); err != nil {
			return nil, err
		}
		return &commands{e: e}, nil
	}
	if s.Drivers[way] == nil {
		return nil, fmt.Errorf("this program has no driver for runtime.%s", way)
	}
	return s.Drivers[way](ctx, e)
}

// Case is one requirement of runtimes and the behaviour that shows whether it is
// kept.
type Case struct {
	// ID, Level, Title and Source are those of spec.Requirement.
	ID     string
	Level  spec.Level
	Title  string
	Source string
	// Needs lists what a target must support; the case is skipped with the reason
	// for one that does not.
	Needs []spec.Feature
	// Slow, Alone and Timeout are those of suite.Case.
	Slow    time.Duration
	Alone   bool
	Timeout time.Duration
	// Body is the behaviour, run as a Ginkgo spec: it asserts with Gomega.
	Body func(ctx context.Context, e *Env)
}

// NewProfile makes the profile of runtimes.
func NewProfile(all ...Case) suite.Profile {
	p := suite.Profile{Name: Name, Title: "Runtimes: who executes CNI plugins", Features: Features, Optional: Optional, Open: Open,
		Judges: func(s suite.Subject) bool {
			_, runtime := s.(*Target)
			return runtime
		}}
	for _, c := range all {
		p.Cases = append(p.Cases, c.forSuite())
	}
	return p
}

// forSuite gives the body its environment, and cleans up after it.
func (c Case) forSuite() suite.Case {
	return suite.Case{
		Requirement: spec.Requirement{ID: c.ID, Profile: Name, Level: c.Level, Title: c.Title, Source: c.Source},
		Needs:       c.Needs, Slow: c.Slow, Alone: c.Alone, Timeout: c.Timeout,
		Body: c.run,
	}
}

func (c *Case) run(ctx context.Context, t *suite.T) {
	e := begin(ctx, t, t.Setup.(Settings))
	c.Body(ctx, e)
}

// begin makes the environment of a case, which ends with it.
func begin(ctx context.Context, t *suite.T, s Settings) *Env {
	e := newEnv(ctx, s, t.WorkDir)
	ginkgo.DeferCleanup(func(context.Context) {
		calls, before := node.CallResults(e.Calls())
		steps, at := e.Steps()
		t.Tell(suite.Story{Output: e.story(), Calls: calls, CallsBefore: before, Steps: steps, At: at})
		t.Note(e.Notes()...)
		e.teardown()
	}, ginkgo.NodeTimeout(suite.Patience(teardownTimeout)))
	return e
}
