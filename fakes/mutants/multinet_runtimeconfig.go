// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: whose the runtime's runtimeConfig is.
func init() {
	net19 := []string{"NET-19"}
	register(
		mutant{name: "runtime-config-of-all-networks", cases: net19, daemon: onPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments[1:] {
				own := &rec.Attachments[1+i]
				given := maps.Clone(rec.Attachments[0].CapabilityArgs)
				maps.Copy(given, own.CapabilityArgs)
				own.CapabilityArgs = given
			}
		}), fault: "the runtime's runtimeConfig reaches every network that declares it"},
		mutant{name: "runtime-config-of-asked-networks", cases: net19, daemon: onPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments[1:] {
				if own := rec.Attachments[1+i].CapabilityArgs; len(own) > 0 {
					own["portMappings"] = rec.Attachments[0].CapabilityArgs["portMappings"]
				}
			}
		}), fault: "a network of which something is asked gets the runtime's portMappings with it"},
		mutant{name: "runtime-config-at-add-only", cases: net19, daemon: onConf("DEL", func(_ *plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
			fault: "the default network gets the runtime's runtimeConfig at ADD and not at DEL"},
	)
}
