// SPDX-License-Identifier: Apache-2.0

package multinet

import (
	"context"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
)

// The profile multinet: what is asked of a network that does not declare it.
// The faults know the networks of the case by name.
func undeclaredMutants() []mutant.Mutant {
	net18 := []string{"NET-18"}
	all := []mutant.Mutant{
		{Name: "undeclared-tolerated", Cases: net18, Daemon: func(a *seam.Assembly) { a.Config.UndeclaredCapabilities = "warn" },
			Fault: "the pod runs without what its networks do not declare"},
		{Name: "undeclared-found-late", Cases: net18, Daemon: undeclaredFoundLate,
			Fault: "that a network does not declare what it is asked for is found when its turn has come"},
		{Name: "undeclared-first-plugin-counts", Cases: net18, Daemon: seam.OnEach(func(s map[string]any) {
			if name, _ := s["name"].(string); strings.HasPrefix(name, "last-has-") {
				s["name"] = strings.Replace(name, "last-has-", "without-", 1)
			}
		}), Fault: "only what the first plugin of a list declares counts"},
		{Name: "undeclared-unnamed", Cases: net18, Daemon: seam.OnError(func(_ *seam.Answered, e map[string]any) {
			if msg, _ := e["msg"].(string); strings.Contains(msg, "declares") {
				e["msg"], e["details"] = "a capability is missing", ""
			}
		}), Fault: "the error names neither network nor capability"},
	}
	for _, capability := range []string{"ips", "mac", "portMappings", "bandwidth", "infinibandGUID"} {
		key := capability
		if capability == "infinibandGUID" {
			key = "infiniband-guid"
		}
		all = append(all, mutant.Mutant{
			Name: "undeclared-" + strings.ToLower(capability) + "-dropped", Cases: net18,
			Fault: "what a selection asks for by " + key + " is dropped where no plugin declares " + capability,
			Daemon: seam.OnEach(func(s map[string]any) {
				if name, _ := s["name"].(string); strings.HasPrefix(name, "without-") {
					delete(s, key)
				}
			}),
		})
	}
	return all
}

func undeclaredFoundLate(a *seam.Assembly) {
	a.Config.UndeclaredCapabilities = "warn"
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		if p.Command() == "ADD" && strings.Contains(string(p.Stdin), `"name":"without-`) {
			name := ""
			p.Edit(func(conf map[string]any) { name, _ = conf["name"].(string) })
			return nil, types.NewError(types.ErrInvalidNetworkConfig, "network "+name+" does not declare ips, mac, portMappings, bandwidth or infinibandGUID", "")
		}
		return run(ctx, p)
	})
}
