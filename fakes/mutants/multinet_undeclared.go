// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// The profile multinet: what is asked of a network that does not declare it.
// The faults know the networks of the case by name.
func init() {
	net18 := []string{"NET-18"}
	for capability, key := range map[string]string{
		"ips": "ips", "mac": "mac", "portMappings": "portMappings", "bandwidth": "bandwidth", "infinibandGUID": "infiniband-guid",
	} {
		register(mutant{
			name: "undeclared-" + strings.ToLower(capability) + "-dropped", cases: net18,
			fault: "what a selection asks for by " + key + " is dropped where no plugin declares " + capability,
			daemon: onEach(func(s map[string]any) {
				if name, _ := s["name"].(string); strings.HasPrefix(name, "without-") {
					delete(s, key)
				}
			}),
		})
	}
	register(
		mutant{name: "undeclared-tolerated", cases: net18, daemon: func(a *assembly) { a.config.UndeclaredCapabilities = "warn" },
			fault: "the pod runs without what its networks do not declare"},
		mutant{name: "undeclared-found-late", cases: net18, daemon: undeclaredFoundLate,
			fault: "that a network does not declare what it is asked for is found when its turn has come"},
		mutant{name: "undeclared-first-plugin-counts", cases: net18, daemon: onEach(func(s map[string]any) {
			if name, _ := s["name"].(string); strings.HasPrefix(name, "last-has-") {
				s["name"] = strings.Replace(name, "last-has-", "without-", 1)
			}
		}), fault: "only what the first plugin of a list declares counts"},
		mutant{name: "undeclared-unnamed", cases: net18, daemon: onError(func(_ *answered, e map[string]any) {
			if msg, _ := e["msg"].(string); strings.Contains(msg, "declares") {
				e["msg"], e["details"] = "a capability is missing", ""
			}
		}), fault: "the error names neither network nor capability"},
	)
}

func undeclaredFoundLate(a *assembly) {
	a.config.UndeclaredCapabilities = "warn"
	a.onPlugin(func(ctx context.Context, p *plugin, run runPlugin) ([]byte, error) {
		if p.command() == "ADD" && strings.Contains(string(p.stdin), `"name":"without-`) {
			name := ""
			p.edit(func(conf map[string]any) { name, _ = conf["name"].(string) })
			return nil, types.NewError(types.ErrInvalidNetworkConfig, "network "+name+" does not declare ips, mac, portMappings, bandwidth or infinibandGUID", "")
		}
		return run(ctx, p)
	})
}
