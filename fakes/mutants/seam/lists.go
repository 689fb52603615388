// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// Swallowed has some executions of plugins succeed without taking place.
func Swallowed(which func(p *Plugin) bool) func(*Assembly) {
	return func(a *Assembly) {
		a.OnPlugin(func(ctx context.Context, p *Plugin, run RunPlugin) ([]byte, error) {
			if which(p) {
				return nil, nil
			}
			return run(ctx, p)
		})
	}
}

// RuntimeOf is one attachment of a sandbox, as libcni wants to be told of it.
func RuntimeOf(rec *ledger.Record, at *ledger.Attachment) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: rec.ContainerID, NetNS: rec.Netns, IfName: at.Interface, Args: rec.Args}
}

// CniOf is libcni as the engine uses it.
func CniOf(o attach.Options) *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir(o.BinDirs, o.CacheDir, o.Exec)
}
