// SPDX-License-Identifier: Apache-2.0

package network

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// delegates returns the networks that the node's configuration spells out, of
// which the first is the default network and the others are attached to every
// pod (Multus' delegates). They count only where clusterNetwork names nothing.
func (p *Planner) delegates() ([]*source, error) {
	if p.options.DelegatesNow == nil || p.clusterNetwork() != "" {
		return nil, nil
	}
	var all []*source
	for n, config := range p.options.DelegatesNow() {
		s, err := delegateSource(config, fmt.Sprintf("delegates[%d]", n))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// withDelegates appends those of the delegates that are not the default network.
func (p *Planner) withDelegates(plan []Delegate) ([]Delegate, error) {
	all, err := p.delegates()
	if err != nil || len(all) == 0 {
		return plan, err
	}
	for _, s := range all[1:] {
		if plan, err = extend(plan, s, ""); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// delegateSource reads one of the delegates. They often have no name, which
// every network needs: the type of the plugin takes its place.
func delegateSource(config json.RawMessage, what string) (*source, error) {
	var conf struct {
		Type    string `json:"type"`
		Plugins []struct {
			Type string `json:"type"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal(config, &conf); err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	name := conf.Type
	if len(conf.Plugins) > 0 {
		name = cmp.Or(name, conf.Plugins[0].Type)
	}
	l, err := parseList(config, name)
	if err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	named, _, err := l.encode()
	if err != nil {
		return nil, invalid("%s: %v", what, err)
	}
	return &source{config: named, what: what}, nil
}

// CheckDelegates says which of the delegates cannot be used as a network.
func CheckDelegates(delegates []json.RawMessage) error {
	for n, config := range delegates {
		if _, err := delegateSource(config, fmt.Sprintf("delegates[%d]", n)); err != nil {
			return err
		}
	}
	return nil
}
