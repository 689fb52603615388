// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/memo"
)

// Element is one of the networks that a pod selects, to be compared with what
// its sandbox is attached to (HOT-09).
type Element struct {
	// Definition is namespace/name of the network definition.
	Definition string
	// Interface is the name that the pod asks for, "" for any.
	Interface string
	// Digest tells elements apart that ask different things of a network; the
	// interface's name is not part of it.
	Digest string
	// DefaultRoute means that the pod's default route is asked for.
	DefaultRoute bool

	selection Selection
}

// Elements reads which networks a pod selects, by the rules of Plan for the
// annotation as a whole.
func (p *Planner) Elements(pod *cluster.Pod) ([]Element, error) {
	const where = "annotation " + NetworksAnnotation
	selections, err := p.selections(pod.Annotations[NetworksAnnotation], pod.Namespace)
	if err != nil {
		return nil, prefixed(where, err)
	}
	var all []Element
	for i := range selections {
		s := &selections[i]
		if s.InterfaceRequest != "" {
			if err := CheckInterfaceName(s.InterfaceRequest); err != nil {
				return nil, invalid("%s: %v", where, err)
			}
			if slices.ContainsFunc(all, func(other Element) bool { return other.Interface == s.InterfaceRequest }) {
				return nil, invalid("%s: interface %s is asked for twice; give one of them another name with @", where, s.InterfaceRequest)
			}
		}
		digest, err := s.digest()
		if err != nil {
			return nil, invalid("%s: %v", where, err)
		}
		all = append(all, Element{Definition: s.definition(), Interface: s.InterfaceRequest, Digest: digest,
			DefaultRoute: s.GatewayRequest != nil, selection: *s})
	}
	return all, nil
}

// element finds one of the networks that a pod selects.
func (p *Planner) element(ctx context.Context, pod *cluster.Pod, sel Selection) (*source, error) {
	s, err := p.selected(ctx, pod, sel, p.options.GlobalNamespaces)
	if err == nil {
		s.selected, err = sel.digest()
	}
	return s, err
}

// Sandbox is what a sandbox has already.
type Sandbox struct {
	// Selected is how many networks it has because its pod selects them, or did.
	Selected int
	// Bytes is the size of its networks' configurations.
	Bytes int
	// Devices are the ids of those that its networks have, by resource.
	Devices map[string][]string
}

// Join returns the delegate that attaches a running pod to one more of the
// networks that it selects. Errors are those of Plan.
func (p *Planner) Join(ctx context.Context, pod *cluster.Pod, e *Element, ifName string, has Sandbox) (*Delegate, error) {
	// What could not be deleted counts: an annotation may be edited all the time.
	if err := p.options.Limits.selections(has.Selected + 1); err != nil {
		return nil, prefixed("network "+e.Definition, err)
	}
	s, err := p.element(ctx, pod, e.selection)
	if err != nil {
		return nil, err
	}
	devices := &allotment{from: p.options.Devices, pod: pod, taken: has.Devices}
	if err := devices.give(ctx, s); err != nil {
		return nil, err
	}
	d, err := s.delegate(ifName, nil)
	if err == nil && !p.options.TolerateUndeclared {
		err = d.declared()
	}
	if err != nil {
		return nil, err
	}
	total := &tally{limits: p.options.Limits, turn: p.options.Turn, bytes: has.Bytes}
	return d, total.add(ctx, d)
}

// digest is Element.Digest. What is not asked for is not part of it, so that it
// stays the same when there is more to ask for.
func (s *Selection) digest() (string, error) {
	asked := *s
	asked.InterfaceRequest = ""
	more := asked
	more.Name, more.Namespace = "", ""
	if reflect.ValueOf(more).IsZero() {
		return digests.Of([]byte(s.definition()), asked.newDigest)
	}
	return asked.newDigest()
}

// digests are those of selections that ask for nothing but a network.
var digests memo.Memo[string]

func (s *Selection) newDigest() (string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return "", err
	}
	for name, value := range fields {
		if text := string(value); text == `""` || text == "null" {
			delete(fields, name)
		}
	}
	if text, err = json.Marshal(fields); err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12]), nil
}
