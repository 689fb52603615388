// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"context"
	"regexp"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// Case is one requirement of thick plugins and the behaviour that shows whether
// it is kept.
type Case struct {
	// ID, Profile, Level, Title and Source are those of spec.Requirement.
	ID      string
	Profile string
	Level   spec.Level
	Title   string
	Source  string
	// Needs lists what a target must support; the case is skipped with the reason
	// for one that does not.
	Needs []spec.Feature
	// Slow, Waits, Alone, Processes and Timeout are those of suite.Case.
	Slow      time.Duration
	Waits     bool
	Alone     bool
	Processes int
	Timeout   time.Duration
	// Body is the behaviour, run as a Ginkgo spec: it asserts with Gomega.
	Body func(ctx context.Context, e *Env)
	// Live is what can be asked of a daemon that already runs on a node in use;
	// nil when the case cannot leave such a node as it was.
	Live func(ctx context.Context, e *Env)
}

// inUse is why a case without Live is not asked of a LiveTarget.
const inUse = "the daemon already runs, perhaps on a node in use: cases that start or stop daemons, make sandboxes or burden the node are left out"

// NewProfile makes a profile of thick plugins.
func NewProfile(name, title string, cases ...Case) suite.Profile {
	p := suite.Profile{Name: name, Title: title, Features: Features, Optional: Optional, Judges: func(s suite.Subject) bool {
		_, thick := s.(Target)
		return thick
	}}
	for _, c := range cases {
		p.Cases = append(p.Cases, c.forSuite())
	}
	return p
}

// forSuite gives the body its environment, and cleans up after it.
func (c Case) forSuite() suite.Case {
	return suite.Case{
		Requirement: spec.Requirement{ID: c.ID, Profile: c.Profile, Level: c.Level, Title: c.Title, Source: c.Source},
		Needs:       c.Needs, Slow: c.Slow, Waits: c.Waits, Alone: c.Alone, Processes: c.Processes, Timeout: c.Timeout,
		Body: func(ctx context.Context, t *suite.T) { c.run(ctx, t) },
	}
}

func (c *Case) run(ctx context.Context, t *suite.T) {
	s := t.Setup.(Settings)
	body := c.Body
	if _, live := s.Target.(LiveTarget); live {
		if body = c.Live; body == nil {
			ginkgo.Skip(inUse)
		}
	}
	e := NewEnv(s, t.WorkDir, c.ID)
	ginkgo.DeferCleanup(func(ctx context.Context) {
		if e.unserved {
			t.Unserved()
		}
		story := e.storyOfFailure(ctx)
		defer func() {
			if story.Output == "" {
				story.Output = e.Story()
			}
			story.Calls, story.CallsBefore = node.CallResults(e.Calls())
			t.Tell(story)
			t.Note(e.Notes()...)
		}()
		e.Teardown(ctx)
	}, ginkgo.NodeTimeout(suite.Patience(TeardownTimeout)))
	body(ctx, e)
}

// dying is how long a daemon may take to end whose connections have ended.
const dying = 300 * time.Millisecond

// storyOfFailure tells how it stands when the body is over, before clean-up adds
// to it. Of a case that has not failed so far it tells the steps alone.
func (e *Env) storyOfFailure(ctx context.Context) suite.Story {
	var s suite.Story
	s.Steps, s.At = e.Steps()
	failure := ginkgo.CurrentSpecReport()
	if !failure.Failed() {
		return s
	}
	if lostConnection.MatchString(failure.FailureMessage()) {
		_ = node.Await(func() []string {
			if ctx.Err() != nil || e.endedUnasked() != "" {
				return nil
			}
			return []string{"it lives"}
		}, dying)
	}
	s.Ended, s.Output = e.endedUnasked(), e.Story()
	return s
}

// lostConnection is what a client reads whose daemon has just died.
var lostConnection = regexp.MustCompile(`EOF|connection re(set|fused)|broken pipe`)
