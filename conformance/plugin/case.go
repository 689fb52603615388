// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
)

// teardownTimeout bounds what follows a case's body.
const teardownTimeout = 30 * time.Second

// Settings are what the cases of a run get, in suite.Settings.Setup.
type Settings struct {
	Target *Target
	// FakeDelegate is a program to execute as the suite's IPAM plugin: one that
	// imports fakes/delegate. Empty means this program.
	FakeDelegate string
	// NoPreflight has the cases judged whether or not an ADD succeeds at all.
	NoPreflight bool
}

// Case is one requirement of CNI plugins and the behaviour that shows whether it
// is kept.
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
	// Since is the version of CNI in which the requirement came, "0.4.0" for CHECK
	// and "1.1.0" for GC and STATUS; empty for one that was always there.
	Since string
	// Once means that the requirement is not of a version: the case is judged
	// once, by the newest.
	Once bool
	// Slow, Alone and Timeout are those of suite.Case.
	Slow    time.Duration
	Alone   bool
	Timeout time.Duration
	// Body is the behaviour, run as a Ginkgo spec: it asserts with Gomega.
	Body func(ctx context.Context, e *Env)
}

// Kind is a profile's part of plugins.
type Kind struct {
	// Roles are the plugins that it judges.
	Roles []Role
	// Behind means that they are executed behind another plugin.
	Behind bool
	// Open are questions that the specification leaves open; see suite.Profile.
	Open []string
}

// NewProfile makes a profile of plugins.
func NewProfile(name, title string, k Kind, cases ...Case) suite.Profile {
	p := suite.Profile{Name: name, Title: title, Features: Features, Optional: Optional, Open: k.Open, Judges: func(s suite.Subject) bool {
		t, plugin := s.(*Target)
		return plugin && slices.Contains(k.Roles, t.Role())
	}}
	for _, c := range cases {
		p.Cases = append(p.Cases, c.forSuite(k))
	}
	return p
}

// forSuite gives the body its environment, and cleans up after it.
func (c Case) forSuite(k Kind) suite.Case {
	to := suite.Case{
		Requirement: spec.Requirement{ID: c.ID, Profile: c.Profile, Level: c.Level, Title: c.Title, Source: c.Source},
		Needs:       c.Needs, Slow: c.Slow, Alone: c.Alone, Timeout: c.Timeout,
		Body: func(ctx context.Context, t *suite.T) { c.run(ctx, t, k) },
	}
	if !c.Once {
		to.Editions = func(s suite.Subject) ([]string, string) { return s.(*Target).editions(c.Since) }
	}
	return to
}

func (c *Case) run(ctx context.Context, t *suite.T, k Kind) {
	s := t.Setup.(Settings)
	s.Target.learn()
	version := t.Edition
	if version == "" {
		all := s.Target.Versions()
		Expect(all).NotTo(BeEmpty(), "the versions of the target")
		version = all[len(all)-1]
	}
	e := newEnv(s, t.WorkDir, version)
	e.Behind = k.Behind
	ginkgo.DeferCleanup(func(context.Context) {
		t.Tell(e.story())
		t.Note(e.Notes()...)
		if t.Kept {
			// The case's root goes with the case. What cannot be read is not missed.
			_ = e.root.Keep(filepath.Join(t.WorkDir, "written"))
		}
		e.teardown()
	}, ginkgo.NodeTimeout(suite.Patience(teardownTimeout)))
	c.Body(ctx, e)
}

// story tells what the case did, what was said, and how the suite's IPAM plugin was
// called.
func (e *Env) story() suite.Story {
	s := suite.Story{Output: e.history.last()}
	if e.daemon != nil {
		s.Output += "--- the daemon's log\n" + spec.LastLines(e.daemon.Log(), 40) + "\n"
	}
	s.Steps, s.At = e.Steps()
	s.Calls, s.CallsBefore = node.CallResults(e.Calls())
	return s
}

// envFacts tells a case's process what the preflight has found out.
const envFacts = "THICKET_CONFORMANCE_PLUGIN"

// learn takes the facts that the preflight has found out, in a case's process.
func (t *Target) learn() {
	if text := os.Getenv(envFacts); text != "" {
		Expect(json.Unmarshal([]byte(text), &t.facts)).To(Succeed())
	}
}
