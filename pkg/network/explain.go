// SPDX-License-Identifier: Apache-2.0

package network

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// Explained is what becomes of one of the networks that a pod is to get.
type Explained struct {
	// Asked says what asks for it: a key of the daemon's configuration, or an
	// annotation and the element of it.
	Asked string
	// Annotation is the key of the annotation that asks for it, "" for none.
	Annotation string
	// Source says where its configuration is from; "" when none was found.
	Source string
	// Interface is the name that it is to have.
	Interface string
	// Delegate is what would be called; nil where no configuration could be made.
	Delegate *Delegate
	// Capabilities are the values that its plugins would be given, sorted by name.
	Capabilities []Capability
	// Err says why it cannot be attached.
	Err error
}

// Capability is one of the values of Delegate.CapabilityArgs.
type Capability struct {
	Name  string
	Value any
	// From says where the value comes from.
	From string
	// Plugins are the types of the plugins that declare the capability, and so
	// are given the value.
	Plugins []string
}

// Explain says of each network what Plan makes of it, and goes on after one that
// cannot be attached. The error is Plan's.
func (p *Planner) Explain(ctx context.Context, pod *cluster.Pod, ifName string) ([]Explained, error) {
	_, err := p.Plan(ctx, pod, ifName, nil)
	x := &explanation{planner: p, pod: pod, total: tally{limits: p.options.Limits}, devices: allotment{from: p.options.Devices, pod: pod}}
	x.byDefault(ctx, ifName)
	x.ofNode(ctx)
	x.selected(ctx)
	if config, failed := p.chain(); config != nil || failed != nil {
		s := &source{config: config, what: "the directory " + p.options.AuxiliaryChain + " beside it"}
		x.add(ctx, asking{asked: "auxiliaryCNIChainName", ifName: freeName(x.delegates()), auxiliary: true}, s, failed)
	}
	return x.all, err
}

// Judge says what is wrong with what a pod itself asks for: it does not look at
// the networks that the node's configuration adds.
func (p *Planner) Judge(ctx context.Context, pod *cluster.Pod) []Explained {
	x := &explanation{planner: p, pod: pod, total: tally{limits: p.options.Limits}}
	if !x.ownDefault(ctx, "eth0") {
		x.all = append(x.all, Explained{Asked: "clusterNetwork", Interface: "eth0"})
	}
	x.selected(ctx)
	plan := x.delegates()
	if err := errors.Join(distinct(plan), oneDefaultRoute(plan)); err != nil {
		x.all = append(x.all, Explained{Asked: "annotation " + NetworksAnnotation, Annotation: NetworksAnnotation, Err: err})
	}
	return x.all
}

// explanation is a plan in the making of which each failure is kept.
type explanation struct {
	planner *Planner
	pod     *cluster.Pod
	devices allotment
	total   tally
	all     []Explained
}

// asking is what asks for a network.
type asking struct {
	asked, annotation, ifName string
	// isDefault and auxiliary become the delegate's.
	isDefault, auxiliary bool
}

// add explains one more network, which has a source unless err says why not.
func (x *explanation) add(ctx context.Context, a asking, s *source, err error) {
	e := Explained{Asked: a.asked, Annotation: a.annotation, Interface: cmp.Or(a.ifName, fmt.Sprintf("net%d", len(x.all)))}
	if s != nil {
		e.Source = s.what
	}
	if err == nil {
		err = x.devices.give(ctx, s)
	}
	if err == nil {
		e.Delegate, err = s.delegate(e.Interface, nil)
	}
	if err == nil {
		e.Delegate.Default, e.Delegate.Auxiliary = a.isDefault, a.auxiliary
		e.Capabilities = s.capabilities(e.Delegate)
		err = x.total.add(ctx, e.Delegate)
	}
	if err == nil && !x.planner.options.TolerateUndeclared {
		err = e.Delegate.declared()
	}
	e.Err = err
	x.all = append(x.all, e)
}

// delegates are those that could be made.
func (x *explanation) delegates() []Delegate {
	var all []Delegate
	for _, e := range x.all {
		if e.Delegate != nil {
			all = append(all, *e.Delegate)
		}
	}
	return all
}

// byDefault explains the pod's default network.
func (x *explanation) byDefault(ctx context.Context, ifName string) {
	if x.ownDefault(ctx, ifName) {
		return
	}
	s, err := x.planner.defaultSource(ctx)
	if err == nil {
		err = s.forceVersion(x.planner.options.ForceCNIVersion)
	}
	asked := "clusterNetwork"
	if name := x.planner.clusterNetwork(); name != "" {
		asked += " " + name
	}
	x.add(ctx, asking{asked: asked, ifName: ifName, isDefault: true}, s, err)
}

// ownDefault explains the default network that an annotation of the pod names,
// and reports whether there is such an annotation.
func (x *explanation) ownDefault(ctx context.Context, ifName string) bool {
	annotation := x.pod.Annotations[DefaultNetworkAnnotation]
	selections, err := x.planner.selections(annotation, x.planner.options.MultusNamespace)
	if err == nil && len(selections) == 0 {
		return false
	}
	a := asking{asked: "annotation " + DefaultNetworkAnnotation, annotation: DefaultNetworkAnnotation, ifName: ifName, isDefault: true}
	if err == nil && len(selections) > 1 {
		err = invalid("%d networks are selected; a pod has one default network", len(selections))
	}
	var s *source
	if err == nil {
		open := append(slices.Clone(x.planner.options.GlobalNamespaces), x.planner.options.MultusNamespace)
		s, err = x.planner.selected(ctx, x.pod, selections[0], open)
	}
	x.add(ctx, a, s, err)
	return true
}

// ofNode explains the networks that every pod gets beside the default network.
func (x *explanation) ofNode(ctx context.Context) {
	given, err := x.planner.delegates()
	for n, s := range given[min(1, len(given)):] {
		x.add(ctx, asking{asked: fmt.Sprintf("delegates[%d]", n+1)}, s, nil)
	}
	if err != nil {
		x.add(ctx, asking{asked: "delegates"}, nil, err)
	}
	if slices.Contains(x.planner.options.SystemNamespaces, x.pod.Namespace) {
		return
	}
	for _, name := range x.planner.options.DefaultNetworks {
		s, err := x.planner.network(ctx, name)
		x.add(ctx, asking{asked: "defaultNetworks " + name}, s, err)
	}
}

// selected explains the networks that the pod selects.
func (x *explanation) selected(ctx context.Context) {
	asked := "annotation " + NetworksAnnotation
	selections, err := x.planner.selections(x.pod.Annotations[NetworksAnnotation], x.pod.Namespace)
	if err != nil {
		x.add(ctx, asking{asked: asked, annotation: NetworksAnnotation}, nil, err)
	}
	for n, sel := range selections {
		s, err := x.planner.element(ctx, x.pod, sel)
		x.add(ctx, asking{asked: fmt.Sprintf("%s, element %d, %s", asked, n+1, sel.definition()), annotation: NetworksAnnotation, ifName: sel.InterfaceRequest}, s, err)
	}
}

// capabilities says of each capability argument of a delegate where it comes from.
func (s *source) capabilities(d *Delegate) []Capability {
	declared := map[string][]string{}
	var list struct {
		Plugins []struct {
			Type         string          `json:"type"`
			Capabilities map[string]bool `json:"capabilities"`
		} `json:"plugins"`
	}
	_ = json.Unmarshal(d.Config, &list) // newDelegate has read it
	for _, plugin := range list.Plugins {
		for name, supported := range plugin.Capabilities {
			if supported {
				declared[name] = append(declared[name], plugin.Type)
			}
		}
	}
	asked := s.sel.capabilityArgs(nil)
	var all []Capability
	for _, name := range slices.Sorted(maps.Keys(d.CapabilityArgs)) {
		c := Capability{Name: name, Value: d.CapabilityArgs[name], From: "the runtime", Plugins: declared[name]}
		switch _, is := asked[name]; {
		case name == "deviceID" && s.device != "":
			c.From = fmt.Sprintf("the device of %s that Kubernetes gave the pod", shown(s.resource))
		case is:
			c.From = "the pod's selection"
		}
		all = append(all, c)
	}
	return all
}
