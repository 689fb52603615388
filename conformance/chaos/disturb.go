// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/onsi/ginkgo/v2"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/spec"
	"github.com/thicket-cni/thicket/conformance/thick"
)

const (
	// startLimit is how long a daemon may take to serve on a busy machine.
	startLimit = 2 * thick.StartTimeout
	// endLimit is how long one may take to end after SIGTERM.
	endLimit = time.Minute
)

// disturb does one thing after the other to the daemon until it is told to stop.
// The last one is undone before it returns.
func (c *chaos) disturb(stop context.Context, end context.CancelCauseFunc) {
	random := c.random(0)
	for {
		select {
		case <-stop.Done():
			return
		case <-time.After(between(random, time.Second, 10*time.Second)):
		}
		if stop.Err() != nil {
			return
		}
		err := c.once(random)
		c.progress("%s", c.timeline.last())
		if err != nil {
			if c.ctx.Err() == nil {
				c.violated(time.Now(), "%v", err)
			}
			end(err) // without a daemon there is nothing to judge
			return
		}
	}
}

// between draws a time.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// once disturbs the daemon in one way.
func (c *chaos) once(random *rand.Rand) error {
	c.disturbing.Lock()
	defer c.disturbing.Unlock()
	switch n := random.IntN(100); {
	case n < 35:
		return c.end("SIGKILL", random)
	case n < 55:
		return c.end("SIGTERM", random)
	case n < 65:
		return c.end("SIGSTOP and SIGKILL", random)
	case n < 80:
		return c.pause(between(random, 100*time.Millisecond, 3*time.Second))
	default:
		return c.lockDisk(between(random, 300*time.Millisecond, 4*time.Second))
	}
}

// end ends the daemon and starts another one, after a while that is mostly none.
// One start in four is cut short by SIGKILL.
func (c *chaos) end(how string, random *rand.Rand) error {
	over := c.timeline.begin(away, how)
	defer over()
	c.did(how)
	d := c.now()
	c.expectEnd(d)
	switch how {
	case "SIGTERM":
		d.Terminate()
	case "SIGKILL":
		d.Kill()
	default:
		if err := unix.Kill(d.PID(), unix.SIGSTOP); err != nil {
			return err
		}
		c.wait(between(random, 0, time.Second))
		d.Kill()
	}
	select {
	case <-d.Done():
	case <-time.After(endLimit):
		return fmt.Errorf("the daemon does not end within %s of %s; its log:\n%s", endLimit, how, spec.LastLines(d.Log(), 20))
	}
	if random.IntN(3) == 0 {
		c.wait(between(random, 0, 3*time.Second))
	}
	if random.IntN(4) == 0 {
		c.did("SIGKILL at the start")
		early := c.start()
		c.expectEnd(early)
		c.wait(between(random, 0, 400*time.Millisecond))
		early.Kill()
	}
	return c.serve()
}

// shimPatience is how long a shim waits at least for a daemon that accepts and does
// not answer. After that it may take it for one that is not there: STATUS fails,
// and DEL is kept for later (SHIM-07).
const shimPatience = 500 * time.Millisecond

// pause stops the daemon for a while.
func (c *chaos) pause(d time.Duration) error {
	means := stopped
	if d > shimPatience {
		means = away
	}
	over := c.timeline.begin(means, fmt.Sprintf("SIGSTOP for %s", d.Round(time.Millisecond)))
	defer over()
	c.did("SIGSTOP and SIGCONT")
	pid := c.now().PID()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return err
	}
	c.wait(d)
	return unix.Kill(pid, unix.SIGCONT)
}

// lockDisk makes the daemon's directory read-only for a while. The kernel
// refuses that while a file is open for writing.
func (c *chaos) lockDisk(d time.Duration) error {
	over := c.timeline.begin(readOnly, "the cache directory is read-only")
	defer over()
	var err error
	for range 500 {
		if err = unix.Mount("", c.e.CacheDir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); !errors.Is(err, unix.EBUSY) {
			break
		}
		c.wait(node.PollInterval)
	}
	if errors.Is(err, unix.EBUSY) {
		return nil // files were being written all the time
	}
	if err != nil {
		return fmt.Errorf("the cache directory cannot be made read-only: %w", err)
	}
	c.did("read-only cache directory")
	c.wait(d)
	if err := unix.Mount("", c.e.CacheDir, "", unix.MS_REMOUNT, ""); err != nil {
		return fmt.Errorf("the cache directory cannot be made writable: %w", err)
	}
	return nil
}

// wait waits, unless the run ends.
func (c *chaos) wait(d time.Duration) {
	select {
	case <-c.ctx.Done():
	case <-time.After(d):
	}
}

// did counts a disturbance.
func (c *chaos) did(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Disturbances[what]++
}

// now is the daemon of now.
func (c *chaos) now() *thick.Daemon {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.daemons[len(c.daemons)-1]
}

// start starts a daemon.
func (c *chaos) start() *thick.Daemon {
	d := c.e.Start(c.ctx, thick.WithoutWaiting())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.daemons = append(c.daemons, d)
	return d
}

// serve starts a daemon, and returns when it serves.
func (c *chaos) serve() error {
	d := c.start()
	probes := []string{"/healthz"}
	if c.e.Supports(thick.FeatureReadyz) {
		probes = append(probes, "/readyz")
	}
	late := time.After(startLimit)
	tick := time.NewTicker(node.PollInterval)
	defer tick.Stop()
	for len(probes) > 0 {
		err := c.e.Probe(c.ctx, c.e.RunDir, probes[0])
		if err == nil {
			probes = probes[1:]
			continue
		}
		select {
		case <-tick.C:
		case <-d.Done():
			return fmt.Errorf("the daemon ends with %d instead of serving; its log:\n%s", d.ExitCode(), spec.LastLines(d.Log(), 20))
		case <-late:
			return fmt.Errorf("the daemon does not serve within %s: %w; its log:\n%s", startLimit, err, spec.LastLines(d.Log(), 20))
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	go c.watch(d)
	return nil
}

// watch waits for a daemon's end. One that ends though nobody told it to is a
// violation, and another one takes its place.
func (c *chaos) watch(d *thick.Daemon) {
	defer ginkgo.GinkgoRecover()
	select {
	case <-d.Done():
	case <-c.ctx.Done():
		return
	}
	if c.told(d) {
		return
	}
	over := c.timeline.begin(away, "the daemon has ended by itself")
	defer over()
	c.disturbing.Lock()
	defer c.disturbing.Unlock()
	if c.ctx.Err() != nil || c.now() != d {
		return
	}
	c.violated(time.Now(), "the daemon ends by itself, with %d; its log:\n%s", d.ExitCode(), spec.LastLines(d.Log(), 20))
	if err := c.serve(); err != nil {
		c.violated(time.Now(), "%v", err)
		c.stop()
	}
}

// expectEnd notes that a daemon is about to be told to end.
func (c *chaos) expectEnd(d *thick.Daemon) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = d
}

// told reports whether a daemon was told to end.
func (c *chaos) told(d *thick.Daemon) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending == d
}
