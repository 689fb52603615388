// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// add attaches a container to its networks.
func (c *call) add() error {
	if err := c.validate(); err != nil {
		return err
	}
	networks, err := c.load()
	if err != nil {
		return err
	}
	if err := c.haveExecutables(networks); err != nil {
		return err
	}
	l, err := c.lockContainer()
	defer l.release()
	if err != nil {
		return err
	}
	if before, err := c.recall(c.id); err != nil || before != nil && !c.has(secondAdd) {
		return errors.Join(err, fmt.Errorf("the container %s is attached already; delete it first", c.id))
	}
	r := c.newRecord(networks)
	if !c.has(recordLast) {
		if err := c.write(r); err != nil {
			return err
		}
	}
	if err := c.attach(r); err != nil {
		return errors.Join(err, c.undo(r))
	}
	r.Added = true
	return c.write(r)
}

// haveExecutables looks for every plugin before the first one runs.
func (c *call) haveExecutables(networks []*network) error {
	if c.has(executablesLate) {
		return nil
	}
	for _, n := range networks {
		for _, p := range n.Plugins {
			if _, err := c.executable(typeOf(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *call) newRecord(networks []*network) *record {
	r := &record{ID: c.id, Netns: c.netns, Namespace: identify(c.netns), Args: c.args, Capabilities: c.capabilities}
	for i, n := range networks {
		name := c.ifName
		if i > 0 {
			name = fmt.Sprintf("net%d", i)
		}
		r.Attachments = append(r.Attachments, &attachment{IfName: name, Network: n})
	}
	return r
}

// attach executes ADD for each network, one after another.
func (c *call) attach(r *record) error {
	if c.has(networksAtOnce) {
		return atOnce(r.Attachments, func(a *attachment) error { return c.attachTo(r, a) })
	}
	for _, a := range r.Attachments {
		if err := c.attachTo(r, a); err != nil {
			return err
		}
	}
	return nil
}

func atOnce(all []*attachment, f func(*attachment) error) error {
	var wait sync.WaitGroup
	errs := make([]error, len(all))
	for i, a := range all {
		wait.Go(func() { errs[i] = f(a) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// attachTo executes ADD of a network's plugins in their order, each with the
// result of the one before, and keeps the final result.
func (c *call) attachTo(r *record, a *attachment) error {
	var failed error
	var first json.RawMessage
	if c.has(prevResultOfLast) {
		if err := c.recallResult(r, a); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, p := range a.Network.Plugins {
		if c.has(oncePerType) && seen[typeOf(p)] {
			continue
		}
		seen[typeOf(p)] = true
		previous := a.result
		if c.has(firstResultToAll) && first != nil {
			previous = first
		}
		result, err := c.addOne(r, a, p, previous)
		if err != nil && !c.has(goesOnAfterError) {
			return err
		}
		failed = errors.Join(failed, err)
		if err == nil {
			a.result = result
		}
		if first == nil {
			first = result
		}
		a.own = append(a.own, result)
	}
	if failed != nil {
		return failed
	}
	return c.keep(r, a)
}

func (c *call) addOne(r *record, a *attachment, plugin object, previous json.RawMessage) (json.RawMessage, error) {
	out, err := c.command("ADD", r, a, plugin, r.Netns, previous)
	if err != nil {
		return nil, err
	}
	return c.parseResult(a.Network, typeOf(plugin), out)
}

// command executes a plugin for an attachment.
func (c *call) command(command string, r *record, a *attachment, plugin object, netns string, previous json.RawMessage) ([]byte, error) {
	given := object{}
	if config := c.runtimeConfig(plugin, r.Capabilities); len(config) > 0 {
		given["runtimeConfig"], _ = json.Marshal(config)
	}
	if previous != nil {
		given["prevResult"] = previous
	}
	config, err := c.configuration(a.Network, plugin, given)
	if err != nil {
		return nil, err
	}
	return c.run(&execution{command: command, plugin: typeOf(plugin), config: config, id: r.ID, netns: netns, ifName: a.IfName, args: r.Args})
}

// undo executes DEL of all of the container's lists after an ADD that failed. When
// that fails, too, the record stays for a later DEL.
func (c *call) undo(r *record) error {
	if c.has(noDelAfterFailure) {
		return nil
	}
	if c.has(undoesDoneAlone) {
		for _, a := range r.Attachments {
			a.Network.Plugins = slices.Clone(a.Network.Plugins[:len(a.own)])
		}
	}
	if err := c.detach(r); err != nil {
		return err
	}
	return c.forget(r)
}
