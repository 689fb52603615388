// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"maps"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// The profile multinet: whose the runtime's runtimeConfig is.
func runtimeconfigMutants() []mutant.Mutant {
	net19 := []string{"NET-19"}
	return []mutant.Mutant{
		{Name: "runtime-config-of-all-networks", Cases: net19, Daemon: seam.OnPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments[1:] {
				own := &rec.Attachments[1+i]
				given := maps.Clone(rec.Attachments[0].CapabilityArgs)
				maps.Copy(given, own.CapabilityArgs)
				own.CapabilityArgs = given
			}
		}), Fault: "the runtime's runtimeConfig reaches every network that declares it"},
		{Name: "runtime-config-of-asked-networks", Cases: net19, Daemon: seam.OnPlan(func(rec *ledger.Record) {
			for i := range rec.Attachments[1:] {
				if own := rec.Attachments[1+i].CapabilityArgs; len(own) > 0 {
					own["portMappings"] = rec.Attachments[0].CapabilityArgs["portMappings"]
				}
			}
		}), Fault: "a network of which something is asked gets the runtime's portMappings with it"},
		{Name: "runtime-config-at-add-only", Cases: net19, Daemon: seam.OnConf("DEL", func(_ *seam.Plugin, conf map[string]any) { delete(conf, "runtimeConfig") }),
			Fault: "the default network gets the runtime's runtimeConfig at ADD and not at DEL"},
	}
}
