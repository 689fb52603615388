// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The annotations of a pod that say what to attach it to.
const (
	// NetworksAnnotation selects further networks (NPWG standard, section 4.1).
	NetworksAnnotation = "k8s.v1.cni.cncf.io/networks"
	// DefaultNetworkAnnotation replaces the default network of one pod (Multus; NET-04).
	DefaultNetworkAnnotation = "v1.multus-cni.io/default-network"
)

// ResourceAnnotation of a network definition names the resource of which each
// attachment takes a device (NPWG standard; NET-14).
const ResourceAnnotation = "k8s.v1.cni.cncf.io/resourceName"

// ErrNoDefaultNetwork is wrapped when the configuration of the cluster's
// default network does not exist (yet): nothing is wrong with what is there
// (ST-02).
var ErrNoDefaultNetwork = errors.New("the default network is not available")

// Options are the rules by which networks are found. The names are those of
// the daemon's configuration keys.
type Options struct {
	// ConfDir holds the node's configuration files.
	ConfDir string
	// MultusNamespace is where ClusterNetwork and DefaultNetworks are looked
	// up; "kube-system" when it is empty.
	MultusNamespace string
	// ClusterNetwork is the default network: the name of a definition, the
	// network name of a file in ConfDir, or the path of a file or directory.
	ClusterNetwork string
	// ClusterNetworkNow, when it is set, is asked in ClusterNetwork's place each
	// time: the node's default network may change while the daemon runs
	// (RES-08). An empty answer means that there is none at the moment.
	ClusterNetworkNow func() string
	// DelegatesNow, when it is set, is asked for the configurations that stand in
	// ClusterNetwork's place where that names nothing: the first is the default
	// network, every pod is attached to the others (Multus' delegates).
	DelegatesNow func() []json.RawMessage
	// ForceCNIVersion, when it is set, takes the place of the cluster network's
	// own cniVersion.
	ForceCNIVersion string
	// DefaultNetworks, named alike, are attached to every pod after the default
	// network, except in SystemNamespaces ({"kube-system"} when it is nil).
	DefaultNetworks  []string
	SystemNamespaces []string
	// AuxiliaryChain, when it is not empty, is the network name of a chain that
	// every pod gets last: the plugins in the directory of that name beside the
	// cluster network's file (Multus' auxiliaryCNIChainName).
	AuxiliaryChain string
	// NamespaceIsolation keeps pods to definitions in their own namespace and
	// in GlobalNamespaces ({"default"} when it is empty; NET-08).
	NamespaceIsolation bool
	GlobalNamespaces   []string
	// TolerateUndeclared attaches a network without what a pod asks of it and no
	// plugin declares, and lists that in Delegate.Undeclared; else it is an error.
	TolerateUndeclared bool
	// Limits bound what a pod may ask for (SEC-06).
	Limits Limits
	// Turn, unless nil, is waited for by the plan of a pod whose configurations
	// are large; what it gives lasts as long as the request.
	Turn func(context.Context) error
	// Devices says which devices a pod has. When it is nil, no pod has any.
	Devices Devices
}

// Planner makes the list of delegates of a pod. It is safe for concurrent use.
type Planner struct {
	options Options
	cluster cluster.Cluster
}

// NewPlanner returns a Planner that looks definitions up in c.
func NewPlanner(o Options, c cluster.Cluster) *Planner {
	if o.MultusNamespace == "" {
		o.MultusNamespace = "kube-system"
	}
	if o.SystemNamespaces == nil {
		o.SystemNamespaces = []string{"kube-system"}
	}
	if len(o.GlobalNamespaces) == 0 {
		o.GlobalNamespaces = []string{"default"}
	}
	return &Planner{options: o, cluster: c}
}

// Plan returns what to attach a pod to, in order: the default network as
// ifName, then the networks that every pod gets, then those that the pod
// selects; these as net1, net2, … by their place, or as the selection asks
// (ADD-01). runtimeConfig are the runtime's capability arguments. They are the
// default network's alone: the runtime means them for the network that it knows
// (NPWG standard, section 7.5; NET-19).
//
// Annotations and configurations that are wrong, and interface names that are
// asked for twice (ADD-07), are *types.Error with code 7; so is what a network
// is asked for and does not declare (NET-18). A definition that does not exist
// wraps cluster.ErrNotFound and names it; a missing default network wraps
// ErrNoDefaultNetwork.
func (p *Planner) Plan(ctx context.Context, pod *cluster.Pod, ifName string, runtimeConfig map[string]any) ([]Delegate, error) {
	plan, err := p.plan(ctx, pod, ifName, runtimeConfig, p.selections)
	if err != nil {
		return nil, err
	}
	return plan, errors.Join(distinct(plan), oneDefaultRoute(plan), p.declared(plan))
}

// Recall returns the plan of an ADD of which there is no record, for a DEL. It
// does not judge what the pod asks of its networks: another daemon, or an
// earlier version of this one, may have accepted what Plan refuses.
func (p *Planner) Recall(ctx context.Context, pod *cluster.Pod, ifName string, runtimeConfig map[string]any) ([]Delegate, error) {
	return p.plan(ctx, pod, ifName, runtimeConfig, recallSelections)
}

// reader reads an annotation that selects networks.
type reader func(annotation, namespace string) ([]Selection, error)

func (p *Planner) plan(ctx context.Context, pod *cluster.Pod, ifName string, runtimeConfig map[string]any, read reader) ([]Delegate, error) {
	selections, err := read(pod.Annotations[NetworksAnnotation], pod.Namespace)
	if err != nil {
		return nil, prefixed("annotation "+NetworksAnnotation, err)
	}
	total := &tally{limits: p.options.Limits, turn: p.options.Turn}
	devices := &allotment{from: p.options.Devices, pod: pod}
	first, err := p.defaultOf(ctx, pod, ifName, runtimeConfig, devices, read)
	if err != nil {
		return nil, err
	}
	if err := total.add(ctx, first); err != nil {
		return nil, err
	}
	plan := []Delegate{*first}
	if plan, err = p.withDelegates(plan); err != nil {
		return nil, err
	}
	if !slices.Contains(p.options.SystemNamespaces, pod.Namespace) {
		for _, name := range p.options.DefaultNetworks {
			s, err := p.network(ctx, name)
			if err != nil {
				return nil, prefixed("defaultNetworks", err)
			}
			if err := devices.give(ctx, s); err != nil {
				return nil, err
			}
			if plan, err = extend(plan, s, ""); err != nil {
				return nil, err
			}
			if err := total.add(ctx, &plan[len(plan)-1]); err != nil {
				return nil, err
			}
		}
	}
	for _, sel := range selections {
		s, err := p.element(ctx, pod, sel)
		if err != nil {
			return nil, err
		}
		if err := devices.give(ctx, s); err != nil {
			return nil, err
		}
		if plan, err = extend(plan, s, sel.InterfaceRequest); err != nil {
			return nil, err
		}
		if err := total.add(ctx, &plan[len(plan)-1]); err != nil {
			return nil, err
		}
	}
	return p.withChain(plan)
}

// selections reads an annotation that may be as long as an API server lets it be.
func (p *Planner) selections(annotation, namespace string) ([]Selection, error) {
	if err := p.options.Limits.annotation(annotation); err != nil {
		return nil, err
	}
	selections, err := ParseSelections(annotation, namespace)
	if err != nil {
		return nil, err
	}
	return selections, p.options.Limits.selections(len(selections))
}

// extend appends an attachment under the requested or the next interface name.
func extend(plan []Delegate, s *source, ifName string) ([]Delegate, error) {
	if ifName == "" {
		ifName = fmt.Sprintf("net%d", len(plan))
	}
	d, err := s.delegate(ifName, nil)
	if err != nil {
		return nil, err
	}
	return append(plan, *d), nil
}

// Default returns the cluster's default network without a pod, as STATUS and a
// DEL without a record need it. The error wraps ErrNoDefaultNetwork when its
// configuration does not exist.
func (p *Planner) Default(ctx context.Context, ifName string, runtimeConfig map[string]any) (*Delegate, error) {
	return p.defaultWith(ctx, ifName, runtimeConfig, &allotment{})
}

// Ready returns what every pod is attached to, the default network first, or why
// no pod at all can be attached now (ST-03). What the pods themselves select is
// not looked at.
func (p *Planner) Ready(ctx context.Context) ([]Delegate, error) {
	first, err := p.Default(ctx, "eth0", nil)
	if err != nil {
		return nil, err
	}
	plan, err := p.withDelegates([]Delegate{*first})
	if err != nil {
		return nil, err
	}
	return p.withChain(plan)
}

// defaultWith is Default for a pod with these devices.
func (p *Planner) defaultWith(ctx context.Context, ifName string, runtimeConfig map[string]any, devices *allotment) (*Delegate, error) {
	s, err := p.defaultSource(ctx)
	if errors.Is(err, ErrNoDefaultNetwork) {
		return nil, err
	}
	if err == nil {
		err = s.forceVersion(p.options.ForceCNIVersion)
	}
	if err == nil {
		err = devices.give(ctx, s)
	}
	if err != nil {
		return nil, prefixed("clusterNetwork", err)
	}
	d, err := s.delegate(ifName, runtimeConfig)
	if err != nil {
		return nil, prefixed("clusterNetwork", err)
	}
	d.Default = true
	return d, nil
}

// defaultSource finds the default network by clusterNetwork, or takes the first
// of the delegates.
func (p *Planner) defaultSource(ctx context.Context) (*source, error) {
	name := p.clusterNetwork()
	if name == "" {
		given, err := p.delegates()
		if err != nil {
			return nil, err
		}
		if len(given) == 0 {
			return nil, fmt.Errorf("%w: neither clusterNetwork nor delegates name one", ErrNoDefaultNetwork)
		}
		return given[0], nil
	}
	s, err := p.network(ctx, name)
	if errors.Is(err, errNoConfig) {
		return nil, fmt.Errorf("%w: clusterNetwork %s: %w", ErrNoDefaultNetwork, name, err)
	}
	return s, err
}

// clusterNetwork is what names the default network now.
func (p *Planner) clusterNetwork() string {
	if p.options.ClusterNetworkNow != nil {
		return p.options.ClusterNetworkNow()
	}
	return p.options.ClusterNetwork
}

// defaultOf returns a pod's default network: the cluster's, unless the pod has
// an annotation that replaces it. That annotation's interface name is ignored,
// because the runtime has decided on it.
func (p *Planner) defaultOf(ctx context.Context, pod *cluster.Pod, ifName string, runtimeConfig map[string]any, devices *allotment, read reader) (*Delegate, error) {
	annotation := pod.Annotations[DefaultNetworkAnnotation]
	if strings.TrimSpace(annotation) == "" {
		return p.defaultWith(ctx, ifName, runtimeConfig, devices)
	}
	const where = "annotation " + DefaultNetworkAnnotation
	selections, err := read(annotation, p.options.MultusNamespace)
	if err != nil {
		return nil, prefixed(where, err)
	}
	if len(selections) != 1 {
		return nil, invalid("%s: %q selects %d networks; a pod has one default network", where, quote(annotation), len(selections))
	}
	open := append(slices.Clone(p.options.GlobalNamespaces), p.options.MultusNamespace)
	s, err := p.selected(ctx, pod, selections[0], open)
	if err == nil {
		err = devices.give(ctx, s)
	}
	if err != nil {
		return nil, prefixed(where, err)
	}
	d, err := s.delegate(ifName, runtimeConfig)
	if err != nil {
		return nil, prefixed(where, err)
	}
	d.Default = true
	return d, nil
}

// selected looks up what a pod selects. Under namespace isolation it has to be
// in the pod's own namespace or in an open one (NET-08).
func (p *Planner) selected(ctx context.Context, pod *cluster.Pod, sel Selection, open []string) (*source, error) {
	if p.options.NamespaceIsolation && sel.Namespace != pod.Namespace && !slices.Contains(open, sel.Namespace) {
		return nil, invalid("network selection %s: namespaceIsolation keeps pods of namespace %s out of namespace %s; "+
			"use a network definition in %s, or one in a global namespace (%s)",
			sel.definition(), pod.Namespace, sel.Namespace, pod.Namespace, strings.Join(open, ", "))
	}
	return p.definition(ctx, sel)
}

// Plug returns the delegate of a hot-plug, by the rules of Plan for what is
// asked of one network. The configurations of the sandbox's other networks have
// so many bytes together.
func (p *Planner) Plug(ctx context.Context, config []byte, ifName string, sel *Selection, others int) (*Delegate, error) {
	if sel != nil {
		if err := sel.checkRequests(); err != nil {
			return nil, err
		}
	}
	d, err := newRequested(config, ifName, sel, p.options.Limits)
	if err == nil && !p.options.TolerateUndeclared {
		err = d.declared()
	}
	if err != nil {
		return nil, err
	}
	total := &tally{limits: p.options.Limits, turn: p.options.Turn, bytes: others}
	return d, total.add(ctx, d)
}

// SelectedAs is the definition, as namespace/name, that a pod selects for an
// interface; "" when it selects none for it, or its annotation cannot be read.
func SelectedAs(pod *cluster.Pod, ifName string) string {
	selections, err := recallSelections(pod.Annotations[NetworksAnnotation], pod.Namespace)
	if err != nil {
		return ""
	}
	for i := range selections {
		if selections[i].InterfaceRequest == ifName {
			return selections[i].definition()
		}
	}
	return ""
}
