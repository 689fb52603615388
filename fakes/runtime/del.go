// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"encoding/json"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// del detaches a container by what was recorded at its ADD, whatever the files and
// the caller say now. What is not recorded is not attached.
func (c *call) del() error {
	if err := c.validate(); err != nil {
		return err
	}
	l, err := c.lockContainer()
	defer l.release()
	if err != nil {
		return err
	}
	r, err := c.recall(c.id)
	switch {
	case errors.Is(err, errDamaged) && !c.has(damagedEndsDel):
		r, err = c.guess()
	case r != nil && c.has(rereadsFile):
		r, err = c.reread(r)
	}
	if err != nil || r == nil {
		return err
	}
	if c.has(argsOfDel) {
		r.Args = c.args
	}
	if c.has(capabilitiesOfDel) {
		r.Capabilities = c.capabilities
	}
	if err := c.detach(r); err != nil {
		return err
	}
	if c.has(checksDeleted) {
		return nil
	}
	return c.forget(r)
}

// guess makes a record of what the files and the caller say, in place of one that
// is damaged.
func (c *call) guess() (*record, error) {
	networks, err := c.load()
	if err != nil {
		return nil, err
	}
	return c.newRecord(networks), nil
}

// reread is a record with what the files and the caller say now.
func (c *call) reread(r *record) (*record, error) {
	now, err := c.guess()
	if err != nil {
		return nil, err
	}
	for i, a := range r.Attachments {
		now.Attachments[i].result = a.result
	}
	now.Namespace = r.Namespace
	return now, nil
}

// detach executes DEL of all of the container's lists, the last one first. An
// error ends its list, and the record stays.
func (c *call) detach(r *record) error {
	netns := c.netnsOf(r)
	if netns == "" && c.has(skipsWithoutNamespace) {
		return nil
	}
	if c.has(removesNamespaceFirst) && netns != "" {
		_ = errors.Join(unix.Unmount(netns, unix.MNT_DETACH), os.Remove(netns))
	}
	if c.has(networksAtOnce) {
		return atOnce(r.Attachments, func(a *attachment) error { return c.detachFrom(r, a, netns) })
	}
	var errs []error
	for _, a := range slices.Backward(r.Attachments) {
		errs = append(errs, c.detachFrom(r, a, netns))
	}
	return errors.Join(errs...)
}

// detachFrom executes DEL of a network's plugins in reverse, each with the final
// result of ADD (CNI §3).
func (c *call) detachFrom(r *record, a *attachment, netns string) error {
	plugins := slices.Clone(a.Network.Plugins)
	if c.has(folderAtAddAlone) {
		plugins = plugins[:a.Network.Inline]
	}
	if !c.has(forwardOrder) {
		slices.Reverse(plugins)
	}
	var errs []error
	for _, p := range plugins {
		_, err := c.command("DEL", r, a, p, netns, c.finalResult(a))
		errs = append(errs, err)
		if err != nil && !c.has(delGoesOn) {
			break
		}
	}
	err := errors.Join(errs...)
	if err != nil && c.has(dropsResultAtError) {
		_ = os.Remove(c.resultPath(r, a))
	}
	if c.has(swallowsDelError) {
		return nil
	}
	return err
}

func (c *call) finalResult(a *attachment) json.RawMessage {
	if c.has(delWithoutResult) {
		return nil
	}
	return a.result
}

// netnsOf is the namespace's path while it is still the container's: gone, or
// another's by now, it is not named (CNI §2 DEL).
func (c *call) netnsOf(r *record) string {
	if c.has(trustsPath) {
		return r.Netns
	}
	if now := identify(r.Netns); now == r.Namespace && now != (identity{}) {
		return r.Netns
	}
	return ""
}
