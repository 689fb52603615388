// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/version"
)

// readList reads a configuration list. libcni decodes the plugins'
// configurations and encodes them again, which rounds integers beyond 2^53.
// Here the same is done with the digits kept (ADD-16). The bytes as they were
// written would not do: libcni has looked at the sorted keys, and a plugin that
// reads "type" and "Type" in another order could find another type (SEC-02).
func readList(config []byte) (*libcni.NetworkConfigList, error) {
	list, err := libcni.NetworkConfFromBytes(config)
	if err != nil {
		return nil, err
	}
	var written map[string]any // as libcni has it: keys of a struct may be written in any case
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.UseNumber()
	if err := dec.Decode(&written); err != nil {
		return nil, err
	}
	plugins, _ := written["plugins"].([]any)
	for i, p := range list.Plugins {
		if p.Bytes, err = json.Marshal(plugins[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// statusPlugins runs STATUS of a network's plugins in order, up to the first
// that fails. Plugins of older configurations do not know the command (CNI
// spec, section 2, STATUS).
func (e *Engine) statusPlugins(ctx context.Context, list *libcni.NetworkConfigList) error {
	if known, err := version.GreaterThanOrEqualTo(configVersion(list), "1.1.0"); err != nil || !known {
		return err
	}
	c := &call{list: list, rt: &libcni.RuntimeConf{}}
	for _, p := range list.Plugins {
		if err := e.execute(ctx, "STATUS", c, p, nil); err != nil {
			return err
		}
	}
	return nil
}
