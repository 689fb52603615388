// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"

	"github.com/containernetworking/cni/pkg/types"
)

// errPluginNotAvailable is the CNI spec's code 50: the plugin cannot serve ADD
// (section 2, STATUS).
const errPluginNotAvailable uint = 50

// Status says whether ADD can be served: nil when it can, code 50 while the
// default network has no configuration (ST-02), else the error of the default
// network's delegates (ST-01).
func (e *Engine) Status(ctx context.Context) error {
	if what := e.cluster.Waiting(); what != "" {
		return types.NewError(errPluginNotAvailable, "not ready: waiting for "+what, "")
	}
	d, err := e.planner.Default(ctx, "eth0", nil)
	if err != nil {
		return types.NewError(errPluginNotAvailable, "the default network has no usable configuration", err.Error())
	}
	list, err := readList(d.Config)
	if err != nil {
		return types.NewError(errPluginNotAvailable, "the default network has no usable configuration", err.Error())
	}
	return cniError(e.statusPlugins(ctx, list), "network "+d.Network)
}
