// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/memo"
)

// readList reads a configuration list. libcni decodes the plugins'
// configurations and encodes them again, which rounds integers beyond 2^53.
// Here the same is done with the digits kept (ADD-16). The bytes as they were
// written would not do: libcni has looked at the sorted keys, and a plugin that
// reads "type" and "Type" in another order could find another type (SEC-02).
func readList(config []byte) (*libcni.NetworkConfigList, error) {
	known, err := lists.Of(config, func() (*libcni.NetworkConfigList, error) { return readNew(config) })
	if err != nil {
		return nil, err
	}
	list := *known
	list.Plugins = slices.Clone(known.Plugins) // a shim may be taken out
	return &list, nil
}

var lists memo.Memo[*libcni.NetworkConfigList]

func readNew(config []byte) (*libcni.NetworkConfigList, error) {
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
		// What is not the network's to set (RT-06) is in Bytes, and decoded may be
		// fifty times as large.
		p.Network.RawPrevResult, p.Network.ValidAttachments = nil, nil
	}
	return list, nil
}
