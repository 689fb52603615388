// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"encoding/json"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/attach"
)

// ValidOf are the valid attachments of a GC.
func ValidOf(config []byte) []types.GCAttachment {
	var conf struct {
		Valid []types.GCAttachment `json:"cni.dev/valid-attachments"`
	}
	_ = json.Unmarshal(config, &conf)
	return conf.Valid
}

// ValidKey is the key of the valid attachments (CNI spec, section 2).
const ValidKey = "cni.dev/valid-attachments"

// OnValidOfPlugin changes the valid attachments that a network's delegates get.
func OnValidOfPlugin(f func(valid []types.GCAttachment, network string, l attach.Ledger) []types.GCAttachment) func(*Assembly) {
	return func(a *Assembly) {
		var kept attach.Ledger
		a.OnRecords(func(_ *Records, next attach.Ledger) { kept = next })
		OnConf("GC", func(p *Plugin, conf map[string]any) { conf[ValidKey] = f(ValidOf(p.Stdin), p.NetworkOf(), kept) })(a)
	}
}
