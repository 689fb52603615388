// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// call is one attachment together with what libcni needs to act on it.
type call struct {
	list *libcni.NetworkConfigList
	rt   *libcni.RuntimeConf
	at   *ledger.Attachment
}

// call prepares the delegates of one attachment of a sandbox.
func (e *Engine) call(r *ledger.Record, a *ledger.Attachment, netns string) (*call, error) {
	list, err := libcni.NetworkConfFromBytes([]byte(a.Config))
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
	return &call{list: list, at: a, rt: &libcni.RuntimeConf{
		ContainerID:    r.ContainerID,
		NetNS:          netns,
		IfName:         a.Interface,
		Args:           args,
		CapabilityArgs: a.CapabilityArgs,
	}}, nil
}

func (c *call) where() string {
	return fmt.Sprintf("network %q, interface %s", c.at.Network, c.at.Interface)
}

// findPlugins looks for every plugin of an attachment before the first of them
// runs. One that is missing then has attached nothing: its network needs no
// rollback, which could not succeed as long as the plugin is missing (ADD-09).
func (e *Engine) findPlugins(c *call) error {
	for _, p := range c.list.Plugins {
		if _, err := e.exec.FindInPath(p.Network.Type, e.binDirs); err != nil {
			return cniError(err, c.where())
		}
	}
	return nil
}

// clearResult makes sure that libcni writes its cached result into a file of
// its own: it would write through a symbolic link (SEC-03).
func (e *Engine) clearResult(c *call) error {
	file := e.resultFile(c.list.Name, c.rt.ContainerID, c.rt.IfName)
	return errors.Join(e.clearUnless(e.results, fs.FileMode.IsDir), e.clearUnless(file, fs.FileMode.IsRegular))
}

// resultFile is where libcni caches the result of an attachment.
func (e *Engine) resultFile(network, containerID, ifName string) string {
	return filepath.Join(e.results, fmt.Sprintf("%s-%s-%s", network, containerID, ifName))
}

// clearUnless removes what lies at a path, unless it is of the right kind.
func (e *Engine) clearUnless(path string, right func(fs.FileMode) bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case right(info.Mode()):
		return nil
	}
	e.log.Warn("what lies in the place of libcni's results is removed", "path", path, "mode", info.Mode())
	return os.Remove(path)
}

// add runs ADD of one attachment (CNI spec, section 3) and keeps its result.
func (e *Engine) add(ctx context.Context, c *call) (*types100.Result, error) {
	if err := e.clearResult(c); err != nil {
		return nil, cniError(err, c.where())
	}
	e.prepareDeviceInfo(c.rt.ContainerID, c.at)
	raw, err := e.cni.AddNetworkList(ctx, c.list, c.rt)
	if err != nil {
		return nil, cniError(err, c.where())
	}
	result, err := types100.NewResultFromResult(raw)
	if err != nil {
		return nil, cniError(err, c.where())
	}
	if c.at.Result, err = json.Marshal(result); err != nil {
		return nil, cniError(err, c.where())
	}
	e.readDeviceInfo(c.rt.ContainerID, c.at)
	return result, nil
}

// del runs DEL of one attachment. libcni's cached result of the ADD becomes
// prevResult; one that libcni cannot read is dropped by it, and does not keep
// the attachment from being deleted (DEL-07).
func (e *Engine) del(ctx context.Context, c *call) error {
	if err := e.cni.DelNetworkList(ctx, c.list, c.rt); err != nil {
		return cniError(err, c.where())
	}
	return nil
}

// check runs CHECK of one attachment, unless its configuration switches it off
// or is older than the command (CHECK-05; CNI spec, section 2).
func (e *Engine) check(ctx context.Context, c *call) error {
	if c.list.DisableCheck {
		return nil
	}
	if known, err := version.GreaterThanOrEqualTo(configVersion(c.list), "0.4.0"); err != nil || !known {
		return cniError(err, c.where())
	}
	return cniError(e.cni.CheckNetworkList(ctx, c.list, c.rt), c.where())
}

func configVersion(list *libcni.NetworkConfigList) string {
	if list.CNIVersion == "" {
		return "0.1.0" // what a configuration without cniVersion means
	}
	return list.CNIVersion
}
