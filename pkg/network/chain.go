// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/utils"
)

// chainHead is the plugin that begins an auxiliary chain: the plugins of such
// a chain expect one before them, and it answers an empty result.
const chainHead = "thicket-passthrough"

// withChain appends the auxiliary chain to a plan, as a network of its own after
// all others. Without plugins there is no chain.
func (p *Planner) withChain(plan []Delegate) ([]Delegate, error) {
	config, err := p.chain()
	if err != nil || config == nil {
		return plan, err
	}
	s := &source{config: config, what: "the auxiliary chain " + p.options.AuxiliaryChain}
	if plan, err = extend(plan, s, freeName(plan)); err == nil {
		plan[len(plan)-1].Auxiliary = true
	}
	return plan, err
}

// chain returns the configuration of the auxiliary chain: the plugins that lie in
// the directory <cluster network's directory>/<chain's name>. It is nil when
// there are none.
func (p *Planner) chain() ([]byte, error) {
	name := p.options.AuxiliaryChain
	if name == "" {
		return nil, nil
	}
	beside := p.clusterNetwork()
	if !strings.Contains(beside, "/") {
		return nil, invalid("auxiliaryCNIChainName %q: clusterNetwork %q must be a file, in whose directory the chain lies", name, beside)
	}
	if utils.ValidateNetworkName(name) != nil {
		return nil, invalid("auxiliaryCNIChainName %q: want letters and digits, then also '_', '.' and '-' (CNI network name)", name)
	}
	files, err := pluginFiles(filepath.Join(filepath.Dir(beside), name))
	if err != nil {
		return nil, invalid("auxiliaryCNIChainName %q: %v", name, err)
	}
	if len(files) == 0 {
		return nil, nil
	}
	plugins := []json.RawMessage{json.RawMessage(`{"type":"` + chainHead + `"}`)}
	plugins = append(plugins, files...)
	return marshal(map[string]any{"cniVersion": "1.0.0", "name": name, "plugins": plugins})
}

// freeName returns the first interface name from net1 on, by the chain's place
// in the plan, that nobody in the plan has asked for: the chain makes no
// interface, and must not stand in the way of one.
func freeName(plan []Delegate) string {
	for n := len(plan); ; n++ {
		name := fmt.Sprintf("net%d", n)
		if !slices.ContainsFunc(plan, func(d Delegate) bool { return d.Interface == name }) {
			return name
		}
	}
}
