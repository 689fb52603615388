// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// distinct refuses a plan in which two attachments have one interface name.
func distinct(plan []Delegate) error {
	taken := map[string]string{}
	for _, d := range plan {
		if other, ok := taken[d.Interface]; ok {
			return invalid("interface %s is asked for twice, by network %s and by network %s; give one of them another name with @",
				d.Interface, other, d.Definition)
		}
		taken[d.Interface] = d.Definition
	}
	return nil
}

// oneDefaultRoute refuses a plan in which two networks are to have the default
// route, or one network has two gateways of one family. The standard allows the
// key once, whatever the families are (NPWG, section 4.1.2.1.9; NET-27).
func oneDefaultRoute(plan []Delegate) error {
	var owner *Delegate
	for i := range plan {
		d := &plan[i]
		if d.DefaultRoute == nil {
			continue
		}
		if owner != nil {
			return invalid("default-route is asked for network %s as %s and for network %s as %s; a pod has one default route, so ask for it once",
				owner.Definition, owner.Interface, d.Definition, d.Interface)
		}
		owner = d
		families := map[bool]bool{}
		for _, gateway := range d.DefaultRoute {
			v4 := gateway.To4() != nil
			if families[v4] {
				return invalid("default-route of network %s: %s is a second gateway of its family; name one for each family", d.Definition, gateway)
			}
			families[v4] = true
		}
	}
	return nil
}

// declared refuses a plan in which a network is asked for what none of its
// plugins declares: libcni would leave it out, and the pod would run with
// another address than it asked for (NPWG standard, sections 4.1.2.1.3.2,
// 4.1.2.1.4.2, 4.1.2.1.7.2, 4.1.2.1.8.2 and 4.1.2.1.10.2; NET-18).
func (p *Planner) declared(plan []Delegate) error {
	if p.options.TolerateUndeclared {
		return nil
	}
	for i := range plan {
		if err := plan[i].declared(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Delegate) declared() error {
	if len(d.Undeclared) == 0 {
		return nil
	}
	return types.NewError(types.ErrInvalidNetworkConfig,
		fmt.Sprintf(`network %s: it is asked for %s, and none of its plugins declares that; add "capabilities": {"%s": true} to the plugin that has it, or do not ask`,
			d.Definition, strings.Join(d.Undeclared, ", "), d.Undeclared[0]),
		`with "undeclaredCapabilities": "warn" in its configuration the daemon attaches the network without what was asked`)
}

// undeclared lists what a selection asks of a network that none of the network's
// plugins declares, by capability and sorted. A device is not among it: its id
// is in the configuration too.
func (l *list) undeclared(sel *Selection) ([]string, error) {
	asked := sel.capabilityArgs(nil)
	delete(asked, "deviceID")
	if len(asked) == 0 {
		return nil, nil
	}
	for i, raw := range l.plugins {
		var plugin struct {
			Capabilities map[string]bool `json:"capabilities"`
		}
		if err := json.Unmarshal(raw, &plugin); err != nil {
			return nil, fmt.Errorf("plugin %d: %w", i+1, err)
		}
		for capability, supported := range plugin.Capabilities {
			if supported {
				delete(asked, capability)
			}
		}
	}
	var names []string
	for name := range asked {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
