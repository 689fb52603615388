// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
)

// DefaultTimeout is how long a case may take that sets no Timeout.
const DefaultTimeout = 60 * time.Second

// Case is one requirement and the behaviour that shows whether it is kept.
type Case struct {
	spec.Requirement
	// Needs lists what a subject must support; the case is skipped with the
	// reason for one that does not, or does not apply where the profile says that
	// the feature is optional.
	Needs []spec.Feature
	// Slow is how long the case takes when that is more than a few seconds;
	// long cases are started first.
	Slow time.Duration
	// Alone means that the case measures whether a loaded machine keeps a
	// runtime's deadline. Nothing else runs beside it.
	Alone bool
	// Waits means that the case does next to nothing but wait for a time to pass:
	// it runs beside the others and takes the place of none.
	Waits bool
	// Processes is how many processes the case may have at once; more fail it, and
	// are ended. Zero means DefaultProcesses.
	Processes int
	// Timeout ends the case as failed; zero means DefaultTimeout. It is the limit
	// of each edition.
	Timeout time.Duration
	// Editions lists by which variants of the requirement the subject is judged,
	// such as the versions of a protocol: each in a process of its own, and the
	// case passes when it passes by all of them. Without any, the case does not
	// apply, for the reason. Nil means that the requirement has no variants.
	Editions func(s Subject) (editions []string, reason string)
	// Body is the behaviour, run as a Ginkgo spec: it asserts with Gomega.
	Body func(ctx context.Context, t *T)
}

func (c *Case) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

func (c *Case) processes() int {
	if c.Processes > 0 {
		return c.Processes
	}
	return DefaultProcesses
}

// Settings are what every case of a run gets.
type Settings struct {
	// Subject is judged.
	Subject Subject
	// Setup is what the subject's kind needs beside it: executables, for example.
	// Only the kind's own cases look at it.
	Setup any
	// WorkDir is where cases make their directories; empty for the system's.
	WorkDir string
	// Tasks are what a child process can be asked for beside cases, by name; see
	// RunTask. The answer is encoded as JSON.
	Tasks map[string]Task
}

// Task is something that is done in a child process and is not a case.
type Task func(Settings) (any, error)

// T is one case in progress, as its body sees it. What the body sets here goes
// into the report.
type T struct {
	Settings
	// Case is the case itself.
	Case *Case
	// Edition is the one of the case's Editions that is judged; "" when it has
	// none.
	Edition string
	// Kept means that the case's directory stays when it has ended (Options.Keep).
	Kept bool

	mu    sync.Mutex
	notes []string
	told  Story
	// processes is the most that there were at once, crowded what was said when
	// there were too many.
	processes int
	crowded   string
	// unserved means that the subject did not come to serve.
	unserved bool
}

// Story is what helps to understand a failure.
type Story struct {
	// Output is what the subject printed.
	Output string
	// Ended says that the subject ended though nobody asked it to, "" when it did
	// not: "the daemon ended by itself (exit status 2)".
	Ended string
	// Steps are what the case did last, At how long it had been going on.
	Steps []report.StepResult
	At    time.Duration
	// Calls are the plugins' executions; CallsBefore is how many earlier ones are
	// left out.
	Calls       []report.CallResult
	CallsBefore int
}

// Note puts what the case measured into the report.
func (t *T) Note(texts ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, texts...)
}

// Tell keeps the story of the case, which is shown if it failed.
func (t *T) Tell(s Story) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = s
}

// Unserved says that the subject does not serve: whatever made the case fail,
// it is not the requirement.
func (t *T) Unserved() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unserved = true
}
