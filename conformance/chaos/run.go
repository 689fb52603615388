// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/thicket-cni/thicket/conformance/kube"
	"github.com/thicket-cni/thicket/conformance/report"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/suite"
	"github.com/thicket-cni/thicket/conformance/thick"
)

const (
	// winding bounds what follows the time of disturbances.
	winding = 10 * time.Minute
	// progressEvery is how often the run says how far it is.
	progressEvery = 10 * time.Second
)

// chaos is a run in progress.
type chaos struct {
	settings   Settings
	e          *thick.Env
	shimConfig []byte
	timeline   timeline
	// hotplug and gc say what the target can be asked for.
	hotplug, gc, status bool
	// ctx ends with the run. stop ends the time of disturbances.
	ctx  context.Context
	stop context.CancelFunc
	// operations keeps GC apart from ADD and DEL, as a runtime has to.
	operations sync.RWMutex
	// disturbing is held by whatever starts or ends a daemon.
	disturbing sync.Mutex

	mu     sync.Mutex
	report *Report
	slots  []*slot
	// daemons are those that were started, the one of now last; ending is the
	// one that was told to end.
	daemons []*thick.Daemon
	ending  *thick.Daemon
	// lost are sandboxes that only GC can find, promised those whose DEL was
	// answered while the daemon was away.
	lost, promised []*past
}

// Judge is the task of the child process: it makes chaos in this process's
// namespaces and returns a *Report.
func Judge(settings Settings, workDir string) (any, error) {
	version, err := settings.Target.Version(context.Background())
	if err != nil {
		return nil, err
	}
	r := &Report{Target: settings.Target.Name(), Version: version, Seed: settings.Seed, Slots: settings.Slots,
		Requests: map[string]Count{}, Disturbances: map[string]int{}, Violations: []Violation{}}
	endAPI, err := kube.StartTaskAPI(settings.clustered(), Task, workDir)
	if err != nil {
		r.Failure = err.Error()
		return r, nil
	}
	defer endAPI()
	c := &chaos{settings: settings, report: r}
	k := &suite.Case{Requirement: spec.Requirement{ID: "CHAOS", Profile: "chaos", Level: spec.Must}, Timeout: settings.For + winding, Body: c.run}
	result := suite.RunSpec(k, suite.Settings{Subject: settings.Target, Setup: settings.Settings, WorkDir: workDir})
	if result.State != report.Passed {
		r.Failure = result.Reason
	}
	return r, nil
}

func (c *chaos) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "chaos: "+format+"\n", args...)
}

// run is the whole: the daemon is started, disturbed for a while, and then
// everything is deleted.
func (c *chaos) run(ctx context.Context, t *suite.T) {
	c.e = thick.NewEnv(c.settings.Settings, t.WorkDir, t.Case.ID)
	c.e.AllowLeftovers("what is left is in the report")
	ginkgo.DeferCleanup(func(ctx context.Context) { c.e.Teardown(ctx) }, ginkgo.NodeTimeout(thick.TeardownTimeout))
	c.hotplug, c.gc, c.status = c.e.Supports(thick.FeatureHotplug), c.e.Supports(thick.FeatureGC), c.e.Supports(thick.FeatureStatus)
	c.progress("%s, %d slots for %s, seed %d", c.report.Target, c.settings.Slots, c.settings.For, c.settings.Seed)
	c.furnish()
	var end context.CancelCauseFunc
	c.ctx, end = context.WithCancelCause(ctx)
	defer end(nil)
	c.timeline.began = time.Now()
	if err := c.serve(); err != nil {
		ginkgo.Fail(err.Error())
	}
	c.disturbed(end)
	c.report.Seconds = time.Since(c.timeline.began).Seconds()
	if c.ctx.Err() != nil {
		return // the violations say why
	}
	c.progress("the time is up: looking for what is left")
	c.report.Left = c.settle()
}

// disturbed is the time of disturbances. It returns when every slot has deleted
// what it had.
func (c *chaos) disturbed(end context.CancelCauseFunc) {
	stop, cancel := context.WithTimeout(c.ctx, c.settings.For)
	defer cancel()
	c.stop = cancel
	var work sync.WaitGroup
	begin := func(f func()) {
		work.Go(func() {
			defer ginkgo.GinkgoRecover()
			f()
		})
	}
	for i := range c.settings.Slots {
		c.slots = append(c.slots, &slot{chaos: c, random: c.random(uint64(i) + 1)})
	}
	for _, s := range c.slots {
		begin(func() { s.run(stop) })
	}
	begin(func() { c.disturb(stop, end) })
	if c.gc {
		begin(func() { c.collectAll(stop) })
	}
	if c.status {
		begin(func() { c.ask(stop) })
	}
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	c.tell(done)
}

// random is a source of random numbers of its own for each part of the run.
func (c *chaos) random(part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(c.settings.Seed, part))
}

// tell says how far the run is until it is over.
func (c *chaos) tell(done <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			c.mu.Lock()
			n, disturbances := c.report.Requests, 0
			for _, one := range c.report.Disturbances {
				disturbances += one
			}
			c.progress("%.0f s of %.0f: %d ADD, %d CHECK, %d DEL, %d hot-plug ADD, %d GC; %d disturbances, %d violations", time.Since(c.timeline.began).Seconds(), c.settings.For.Seconds(),
				n["ADD"].Succeeded, n["CHECK"].Succeeded, n["DEL"].Succeeded, n["hot-plug ADD"].Succeeded, n["GC"].Succeeded, disturbances, len(c.report.Violations))
			c.mu.Unlock()
		}
	}
}
