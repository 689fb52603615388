// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"fmt"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// errPluginNotAvailable is the CNI spec's code 50: the plugin cannot serve ADD
// (section 2, STATUS).
const errPluginNotAvailable uint = 50

// Ready says why no pod at all can be attached: nil when that is not so, else an
// error with code 50 that names what is missing (ST-03). It runs no delegate.
func (e *Engine) Ready(ctx context.Context) error {
	_, err := e.everyPods(ctx)
	return err
}

// everyPods returns the networks that every pod is attached to, the default
// network first. The plugins of all of them are there.
func (e *Engine) everyPods(ctx context.Context) ([]*delegateCall, error) {
	if what := e.cluster.Waiting(); what != "" {
		return nil, types.NewError(errPluginNotAvailable, "not ready: waiting for "+what, "")
	}
	plan, err := e.planner.Ready(ctx)
	if err != nil {
		return nil, types.NewError(errPluginNotAvailable, "the default network has no usable configuration", err.Error())
	}
	var all []*delegateCall
	for i := range plan {
		a := attachment(&plan[i])
		c, err := e.call(&ledger.Record{}, &a, "")
		if err == nil {
			err = e.findAll(c)
		}
		if err != nil {
			return nil, types.NewError(errPluginNotAvailable, fmt.Sprintf("network %q cannot be attached", a.Network), err.Error())
		}
		all = append(all, c)
	}
	return all, nil
}

// findAll is findPlugins for IPAM plugins too.
func (e *Engine) findAll(c *delegateCall) error {
	for _, p := range c.list.Plugins {
		if t := p.Network.IPAM.Type; t != "" {
			if _, err := e.exec.FindInPath(t, e.binDirs); err != nil {
				return c.located(err)
			}
		}
	}
	return e.findPlugins(c)
}

// Status says whether ADD can be served: nil when it can, code 50 while it
// cannot for any pod (ST-02, ST-03), else the error of the default network's
// delegates (ST-01).
func (e *Engine) Status(ctx context.Context) error {
	all, err := e.everyPods(ctx)
	if err != nil {
		return err
	}
	return cniError(e.statusPlugins(ctx, all[0].list), "network "+all[0].at.Network)
}
