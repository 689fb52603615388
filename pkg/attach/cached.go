// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/background"
)

// A Multus that ran here before had libcni cache what it attached. libcni reads
// its cache; the plugins are executed as all others are.

// cachedResult returns what libcni cached of an attachment's ADD, in the version
// of its configuration; nil where that is nothing, or where the version is older
// than 0.4.0, whose plugins know no result at DEL. A result that libcni panics at
// is an error (SEC-08).
func (e *Engine) cachedResult(c *delegateCall) (result types.Result, err error) {
	if known, err := version.GreaterThanOrEqualTo(configVersion(c.list), "0.4.0"); err != nil || !known {
		return nil, err
	}
	err = background.Try(e.log, "libcni's cache", func() error {
		result, err = e.cni.GetNetworkListCachedResult(c.list, c.rt)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("libcni's cached result: %w", err)
	}
	return result, nil
}

// delCached runs DEL of an attachment with what libcni cached of its ADD, if
// anything. A cached result that cannot be used does not keep it from being
// deleted (DEL-07).
func (e *Engine) delCached(ctx context.Context, c *delegateCall) error {
	prev, err := e.cachedResult(c)
	if err != nil {
		e.log.Warn("the delegates get no result of their ADD", "sandbox", c.rt.ContainerID, "network", c.list.Name, "error", err)
	}
	if err := e.delPlugins(ctx, c, prev); err != nil {
		return err
	}
	file := filepath.Join(e.cacheDir, "results", fmt.Sprintf("%s-%s-%s", c.list.Name, c.rt.ContainerID, c.rt.IfName))
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.log.Warn("libcni's cached result stays", "sandbox", c.rt.ContainerID, "error", err)
	}
	return nil
}

// checkCached runs CHECK of an attachment with what libcni cached of its ADD.
func (e *Engine) checkCached(ctx context.Context, c *delegateCall) error {
	prev, err := e.cachedResult(c)
	if err != nil {
		return err
	}
	return e.checkPlugins(ctx, c, prev)
}
