// SPDX-License-Identifier: Apache-2.0

// Command story is what happens in a virtual machine whose power is cut. First it
// judges what an earlier boot of the disk left: a daemon starts on it, what the
// lost sandboxes held has to be released, and the runtime's DELs have to succeed.
// Then it has ADD, DEL and hot-plugs follow until there is no power.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
	"github.com/thicket-cni/thicket/conformance/vm/event"
)

// longest bounds a boot: the host cuts the power long before.
const longest = time.Hour

func main() {
	if suite.IsChild() {
		suite.RunChild(suite.Child{}) // of MeasureSlow
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "story:", err)
		os.Exit(1)
	}
}

func run() error {
	port, err := event.Open()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(event.JobFile)
	if err != nil {
		return err
	}
	var job event.Job
	s := &story{port: port}
	if err := json.Unmarshal(data, &job); err != nil {
		return err
	}
	if err := json.Unmarshal(job.Story, &s.Story); err != nil {
		return err
	}
	target, err := thick.LoadTarget(s.Target)
	if err != nil {
		return err
	}
	if s.Slow == 0 {
		s.Slow, err = suite.MeasureSlow(context.Background(), func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "/proc/self/exe") })
	}
	if err := errors.Join(err, suite.BeSlow(s.Slow)); err != nil {
		return err
	}
	s.settings = thick.Settings{Target: target, PluginDir: "/thicket/bin/cni"}
	work, err := os.MkdirTemp("", "story-")
	if err != nil {
		return err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return err
	}
	s.send(event.Event{Kind: event.Booted, Text: string(boot)})
	k := &suite.Case{Requirement: spec.Requirement{ID: "POWER", Profile: "power", Level: spec.Must, Title: "power cut"}, Timeout: longest, Body: s.body}
	result := suite.RunSpec(k, suite.Settings{Subject: target, WorkDir: work})
	if result.State != report.Passed {
		s.send(event.Event{Kind: event.Found, Text: fmt.Sprintf("%s: %s\n%s", result.State, result.Reason, result.Output)})
	}
	return nil
}

// body is the whole story.
func (s *story) body(ctx context.Context, t *suite.T) {
	s.e = thick.NewEnv(s.settings, t.WorkDir, t.Case.ID)
	s.e.AllowLeftovers("the power is cut")
	ginkgo.DeferCleanup(func() { t.Tell(suite.Story{Output: s.e.Story()}) })
	s.furnish()
	before := s.look()
	s.start(ctx)
	s.judge(ctx, before)
	if s.Load {
		s.load(ctx)
	}
	s.stop(ctx)
}

// send sends an event. Events are in the order in which things happen.
func (s *story) send(e event.Event) {
	s.sending.Lock()
	err := event.Send(s.port, e)
	s.sending.Unlock()
	if err != nil {
		fmt.Fprintln(os.Stderr, "story: the host cannot be told:", err)
		os.Exit(1) // it would wait in vain
	}
}

// found sends what must not be.
func (s *story) found(format string, args ...any) {
	s.send(event.Event{Kind: event.Found, Text: fmt.Sprintf(format, args...)})
}
