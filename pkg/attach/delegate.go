// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// delegateCall is one attachment together with what is needed to act on it.
type delegateCall struct {
	list *libcni.NetworkConfigList
	rt   *libcni.RuntimeConf
	at   *ledger.Attachment
	// more are further keys of what the plugins read.
	more map[string]any
	// paths are the executables of the plugins that have been looked for, by type.
	paths map[string]string
}

// find looks for a plugin, anew when the file that was found for this call is not
// there any more, or not the same: another one may be a shim (SEC-09).
func (e *Engine) find(c *delegateCall, plugin string) (string, error) {
	still, _ := e.exec.(interface{ isStill(path string) bool })
	if path, found := c.paths[plugin]; found && still != nil && still.isStill(path) {
		return path, nil
	}
	path, err := e.exec.FindInPath(plugin, e.binDirs)
	if err == nil {
		if c.paths == nil {
			c.paths = map[string]string{}
		}
		c.paths[plugin] = path
	}
	return path, err
}

// call prepares the delegates of one attachment of a sandbox.
func (e *Engine) call(r *ledger.Record, a *ledger.Attachment, netns string) (*delegateCall, error) {
	list, err := readList([]byte(a.Config))
	if err == nil && len(list.Plugins) == 0 {
		err = errors.New("it has no plugins") // libcni would do nothing, and call it a success
	}
	if err != nil {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("network %q: %v", a.Network, err), "")
	}
	args := r.Args
	if a.Args != nil {
		args = a.Args
	}
	return &delegateCall{list: list, at: a, rt: &libcni.RuntimeConf{
		ContainerID:    r.ContainerID,
		NetNS:          netns,
		IfName:         a.Interface,
		Args:           args,
		CapabilityArgs: a.CapabilityArgs,
	}}, nil
}

func (c *delegateCall) where() string {
	return fmt.Sprintf("network %q, interface %s", c.at.Network, c.at.Interface)
}

// placedError is a delegate's own error together with the attachment that it is
// about. The answer is the delegate's error as it came (EP-10); the log says
// which of a pod's networks it was.
type placedError struct {
	where string
	err   *types.Error
}

// Error names the attachment.
func (l *placedError) Error() string { return l.where + ": " + l.err.Error() }

// Unwrap returns the delegate's error.
func (l *placedError) Unwrap() error { return l.err }

// located makes a CNI error of what an attachment failed with; nil stays nil.
func (c *delegateCall) located(err error) error {
	if err == nil {
		return nil
	}
	var own *types.Error
	if errors.As(err, &own) {
		return &placedError{c.where(), own}
	}
	return cniError(err, c.where())
}

// supported refuses a version of CNI that is not known here, before a plugin runs:
// what that one answers could not be read (RT-09; CNI spec, section 1).
func (c *delegateCall) supported() error {
	if v := configVersion(c.list); !network.KnownVersion(v) {
		return c.located(types.NewError(types.ErrIncompatibleCNIVersion, fmt.Sprintf("cniVersion %q is not supported", v),
			"supported are "+strings.Join(version.All.SupportedVersions(), ", ")))
	}
	return nil
}

// findPlugins looks for every plugin of an attachment before the first of them
// runs. One that is missing then has attached nothing: its network needs no
// rollback, which could not succeed as long as the plugin is missing (ADD-09).
// Plugins that these execute are looked for too, because none of them may be a
// shim (SEC-09); one of those that is missing is its plugin's affair.
func (e *Engine) findPlugins(c *delegateCall) error {
	if err := c.supported(); err != nil {
		return err
	}
	for _, p := range c.list.Plugins {
		if _, err := e.find(c, p.Network.Type); err != nil {
			return c.located(err)
		}
		nested, err := network.PluginTypes(p.Bytes)
		if err != nil {
			return c.located(err)
		}
		for _, t := range nested {
			if _, err := e.find(c, t); isShimError(err) {
				return c.located(err)
			}
		}
	}
	return nil
}

// passOverShims takes the shims out of an attachment that is to be deleted: one
// that an earlier version recorded has attached nothing, and could never be
// executed again.
func (e *Engine) passOverShims(c *delegateCall) {
	c.list.Plugins = slices.DeleteFunc(c.list.Plugins, func(p *libcni.PluginConfig) bool {
		_, err := e.find(c, p.Network.Type)
		if isShimError(err) {
			e.log.Warn("a shim is passed over at DEL", "sandbox", c.rt.ContainerID, "network", c.at.Network, "type", p.Network.Type)
		}
		return isShimError(err)
	})
}

// add runs ADD of one attachment (CNI spec, section 3) and keeps its result.
func (e *Engine) add(ctx context.Context, c *delegateCall) (*types100.Result, error) {
	leave, err := e.sweeps.enter(ctx, c.at.Network)
	if err != nil {
		return nil, err
	}
	defer leave()
	e.prepareDeviceInfo(c.rt.ContainerID, c.at)
	result, err := e.addPlugins(ctx, c)
	if err != nil {
		return nil, c.located(err)
	}
	if c.at.Result, err = json.Marshal(Encodable(result)); err != nil {
		return nil, c.located(err)
	}
	c.at.Parsed = result
	e.readDeviceInfo(c.rt.ContainerID, c.at)
	return result, nil
}

// del runs DEL of one attachment. The recorded result of the ADD becomes
// prevResult (DEL-05); one that cannot be expressed in the configuration's
// version does not keep the attachment from being deleted (DEL-07). Where none
// is recorded, libcni may have cached one.
func (e *Engine) del(ctx context.Context, c *delegateCall) error {
	leave, err := e.sweeps.enter(ctx, c.at.Network)
	if err != nil {
		return err
	}
	defer leave()
	e.passOverShims(c)
	if c.at.Result == nil || c.at.Cached {
		return c.located(e.delCached(ctx, c))
	}
	prev, err := c.prevResult()
	if err != nil {
		e.log.Warn("the delegates get no result of their ADD", "sandbox", c.rt.ContainerID, "network", c.at.Network, "error", err)
	}
	return c.located(e.delPlugins(ctx, c, prev))
}

// check runs CHECK of one attachment, unless its configuration switches it off
// or is older than the command (CHECK-05; CNI spec, section 2).
func (e *Engine) check(ctx context.Context, c *delegateCall) error {
	if c.list.DisableCheck {
		return nil
	}
	if known, err := version.GreaterThanOrEqualTo(configVersion(c.list), "0.4.0"); err != nil || !known {
		return c.located(err)
	}
	if c.at.Result == nil || c.at.Cached {
		return c.located(e.checkCached(ctx, c))
	}
	prev, err := c.prevResult()
	if err != nil {
		return c.located(err)
	}
	return c.located(e.checkPlugins(ctx, c, prev))
}

func configVersion(list *libcni.NetworkConfigList) string {
	if list.CNIVersion == "" {
		return "0.1.0" // what a configuration without cniVersion means
	}
	return list.CNIVersion
}
