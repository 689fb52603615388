// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// The commands that are about a network and not about an attachment. libcni
// would round the numbers of the configuration on the way (ADD-16).

// statusPlugins runs STATUS of a network's plugins in order, up to the first
// that fails. Plugins of older configurations do not know the command (CNI
// spec, section 2, STATUS).
func (e *Engine) statusPlugins(ctx context.Context, list *libcni.NetworkConfigList) error {
	if known, err := version.GreaterThanOrEqualTo(configVersion(list), "1.1.0"); err != nil || !known {
		return err
	}
	c := &delegateCall{list: list, rt: &libcni.RuntimeConf{}}
	for _, p := range list.Plugins {
		if err := e.execute(ctx, "STATUS", c, p, nil); err != nil {
			return err
		}
	}
	return nil
}

// gcNetwork deletes what libcni cached of a network for a Multus and is not
// valid, and then runs GC of the network's plugins (CNI spec, section 2, GC).
// Every failure is reported.
func (e *Engine) gcNetwork(ctx context.Context, list *libcni.NetworkConfigList, valid []types.GCAttachment) error {
	if list.DisableGC {
		return nil
	}
	return errors.Join(e.gcCached(ctx, list, valid), e.gcPlugins(ctx, list, valid))
}

func (e *Engine) gcCached(ctx context.Context, list *libcni.NetworkConfigList, valid []types.GCAttachment) error {
	cached, err := e.cni.GetCachedAttachments("")
	if err != nil {
		return fmt.Errorf("libcni's results: %w", err)
	}
	var failures []error
	for _, c := range cached {
		if c.Network != list.Name || slices.Contains(valid, types.GCAttachment{ContainerID: c.ContainerID, IfName: c.IfName}) {
			continue
		}
		call := &delegateCall{list: list, rt: &libcni.RuntimeConf{
			ContainerID: c.ContainerID, NetNS: c.NetNS, IfName: c.IfName, Args: c.CniArgs, CapabilityArgs: c.CapabilityArgs,
		}}
		if err := e.delCached(ctx, call); err != nil {
			failures = append(failures, fmt.Errorf("stale attachment %s of container %s: %w", c.IfName, c.ContainerID, err))
		}
	}
	return errors.Join(failures...)
}

// gcPlugins runs GC of all plugins of a network. Those of older configurations
// do not know the command.
func (e *Engine) gcPlugins(ctx context.Context, list *libcni.NetworkConfigList, valid []types.GCAttachment) error {
	if known, err := version.GreaterThanOrEqualTo(configVersion(list), "1.1.0"); err != nil || !known {
		return err
	}
	if valid == nil {
		valid = []types.GCAttachment{}
	}
	c := &delegateCall{list: list, rt: &libcni.RuntimeConf{}, more: map[string]any{
		"cni.dev/valid-attachments": valid,
		"cni.dev/attachments":       valid, // the specification's name for it before 1.1.0 was corrected
	}}
	var failures []error
	for _, p := range list.Plugins {
		if err := e.execute(ctx, "GC", c, p, nil); err != nil {
			failures = append(failures, fmt.Errorf("plugin %q: %w", p.Network.Type, err))
		}
	}
	return errors.Join(failures...)
}
