// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// check executes CHECK for a container that was added and not deleted since (CNI
// §2 CHECK).
func (c *call) check() error {
	if err := c.validate(); err != nil {
		return err
	}
	l, err := c.lockContainer()
	defer l.release()
	if err != nil {
		return err
	}
	r, err := c.recall(c.id)
	if err != nil {
		return err
	}
	if r == nil && c.has(checksStrangers) {
		if r, err = c.guess(); err != nil {
			return err
		}
		r.Added = true
	}
	if r == nil || !r.Added {
		return fmt.Errorf("the container %s is not attached", c.id)
	}
	for _, a := range r.Attachments {
		if err := c.checkOne(r, a); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) checkOne(r *record, a *attachment) error {
	// The known versions compare as text.
	if a.Network.DisableCheck && !c.has(ignoresDisableCheck) || a.Network.Version < "0.4.0" {
		return nil
	}
	plugins, result := slices.Clone(a.Network.Plugins), a.result
	if c.has(checkReversed) {
		slices.Reverse(plugins)
	}
	if c.has(checkWithoutResult) {
		result = nil
	}
	var failed error
	for _, p := range plugins {
		_, err := c.command("CHECK", r, a, p, r.Netns, result)
		if err != nil && !c.has(checkGoesOn) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// status executes STATUS of the networks' plugins.
func (c *call) status() error {
	networks, err := c.load()
	if err != nil {
		return err
	}
	for _, n := range networks {
		err := c.forNetwork("STATUS", n, object{}, true)
		if err != nil && !c.has(statusIgnored) {
			return fmt.Errorf("the network %s is not ready: %w", n.Name, err)
		}
	}
	return nil
}

// gc deletes what is stale and has the network's plugins collect the rest, while
// nothing else is done for the network.
func (c *call) gc() error {
	n, err := c.find(c.networks)
	if err != nil {
		return err
	}
	l, err := c.lockNetwork(n.Name)
	defer l.release()
	if err != nil {
		return err
	}
	all, err := c.records()
	if err != nil {
		return err
	}
	if !c.validGiven {
		c.valid = alive(all, n.Name)
	}
	errs := []error{c.deleteStale(all, n.Name)}
	if !n.DisableGC || c.has(ignoresDisableGC) {
		valid := c.valid
		if c.has(partialValid) && len(valid) > 0 {
			valid = valid[:1]
		}
		list, _ := json.Marshal(append([]attachmentName{}, valid...))
		errs = append(errs, c.forNetwork("GC", n, object{"cni.dev/valid-attachments": list}, c.has(gcStops)))
	}
	if c.has(swallowsGCError) {
		return nil
	}
	return errors.Join(errs...)
}

// alive are the attachments to a network whose containers have their namespaces.
func alive(all []*record, network string) []attachmentName {
	var names []attachmentName
	for _, r := range all {
		for _, a := range r.Attachments {
			if a.Network.Name == network && identify(r.Netns) == r.Namespace {
				names = append(names, attachmentName{r.ID, a.IfName})
			}
		}
	}
	return names
}

// deleteStale executes DEL of the containers of the network that are not valid.
func (c *call) deleteStale(all []*record, network string) error {
	if c.has(staleGetsGCAlone) {
		return nil
	}
	var errs []error
	for _, r := range all {
		stale := slices.ContainsFunc(r.Attachments, func(a *attachment) bool {
			return a.Network.Name == network && !slices.Contains(c.valid, attachmentName{r.ID, a.IfName})
		})
		if stale || c.has(deletesLive) {
			errs = append(errs, c.deleteContainer(r.ID))
		}
	}
	return errors.Join(errs...)
}

// deleteContainer is DEL of a container by its record. The network's lock is held.
func (c *call) deleteContainer(id string) error {
	l := &locks{}
	defer l.release()
	if err := l.take(c.pathOf(id, ".lock"), false); err != nil {
		return err
	}
	r, err := c.recall(id)
	if err != nil || r == nil {
		return err
	}
	if err := c.detach(r); err != nil {
		return err
	}
	return c.forget(r)
}

// forNetwork executes a command that is of no container, of which there are since
// 1.1.0. The first error ends it where stops is true.
func (c *call) forNetwork(command string, n *network, given object, stops bool) error {
	if n.Version < "1.1.0" && !c.has(gcAnyVersion) {
		return nil
	}
	var errs []error
	for _, p := range n.Plugins {
		config, err := c.configuration(n, p, given)
		if err == nil {
			_, err = c.run(&execution{command: command, plugin: typeOf(p), config: config})
		}
		if err != nil && c.has(firstGCError) && len(errs) > 0 {
			continue
		}
		errs = append(errs, err)
		if err != nil && stops {
			break
		}
	}
	return errors.Join(errs...)
}
