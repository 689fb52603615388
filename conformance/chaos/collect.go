// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"time"

	"github.com/thicket-cni/thicket/conformance/node"
	"github.com/thicket-cni/thicket/conformance/thick/expect"
)

// statusEvery is how often STATUS is asked.
const statusEvery = 3 * time.Second

// collectAll asks for GC now and then, until it is told to stop.
func (c *chaos) collectAll(stop context.Context) {
	random := c.random(1 << 32)
	for {
		select {
		case <-stop.Done():
			return
		case <-time.After(between(random, 2*time.Second, 10*time.Second)):
		}
		c.collect()
	}
}

// collect has the runtime name what it knows to GC, which has to delete what the
// runtime has lost. ADD and DEL wait meanwhile; CHECK and hot-plugs go on.
func (c *chaos) collect() {
	c.operations.Lock()
	defer c.operations.Unlock()
	c.mu.Lock()
	lost := c.lost
	c.lost = nil
	var valid []*node.Sandbox
	for _, s := range c.slots {
		if s.box != nil {
			valid = append(valid, s.box)
		}
	}
	c.mu.Unlock()
	r := expect.GcRequest(c.e, valid...)
	o := c.shim("GC", r.Env, r.Config)
	disturbed := c.timeline.since(o.began) & (away | readOnly)
	switch {
	case c.ctx.Err() != nil:
		return
	case o.ok:
		c.count("GC", verdictGood)
	case disturbed != 0 && !o.late:
		c.count("GC", verdictExcused)
	default:
		c.count("GC", verdictFailed)
		c.violated(o.began, "GC fails though nothing gave it a reason: %s", o.text)
	}
	for _, p := range lost {
		left := c.remains(p.box)
		switch sure := o.ok && disturbed == 0; {
		case !sure:
			c.mu.Lock()
			c.lost = append(c.lost, p) // the next GC will tell
			c.mu.Unlock()
		case len(left) > 0:
			c.violatedBy(p, "GC was answered with success, and of a sandbox that it was not told of there still are %v", left)
		}
	}
}

// ask asks STATUS now and then. While nothing disturbs the daemon the answer has
// to be a success.
func (c *chaos) ask(stop context.Context) {
	for {
		select {
		case <-stop.Done():
			return
		case <-time.After(statusEvery):
		}
		r := expect.StatusRequest(c.e)
		o := c.shim("STATUS", r.Env, r.Config)
		switch {
		case c.ctx.Err() != nil:
			return
		case o.ok:
			c.count("STATUS", verdictGood)
		case c.timeline.since(o.began)&(away|readOnly) != 0 && !o.late:
			c.count("STATUS", verdictExcused)
		default:
			c.count("STATUS", verdictFailed)
			c.violated(o.began, "STATUS fails though nothing gave it a reason: %s", o.text)
		}
	}
}
