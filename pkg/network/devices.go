// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// Devices knows the devices that Kubernetes gave pods. It is declared here by
// its user: where devices are known from is not the planner's subject.
type Devices interface {
	// Of returns the ids of a pod's devices, by resource, in the order in which
	// they are handed out.
	Of(ctx context.Context, pod *cluster.Pod) (map[string][]string, error)
}

// allotment hands the devices of one pod out, each once. They are looked up
// when the first definition asks for one: most pods have none.
type allotment struct {
	from  Devices
	pod   *cluster.Pod
	known bool
	left  map[string][]string
	// taken are devices that are not given again, by resource.
	taken map[string][]string
}

// give takes the next device of the resource that a network's definition
// names, if there is one left. A pod without is attached as it is, as in
// Multus: definitions name resources too that only count how many pods a node
// can take, and have no devices.
func (a *allotment) give(ctx context.Context, s *source) error {
	if s.resource == "" || a.from == nil {
		return nil
	}
	if !a.known {
		var err error
		if a.left, err = a.from.Of(ctx, a.pod); err != nil {
			return types.NewError(types.ErrTryAgainLater,
				fmt.Sprintf("%s asks for a device of %q, and the devices of pod %s/%s cannot be looked up", s.what, quote(s.resource), a.pod.Namespace, a.pod.Name), err.Error())
		}
		a.known = true
		for resource, taken := range a.taken {
			a.left[resource] = slices.DeleteFunc(a.left[resource], func(id string) bool { return slices.Contains(taken, id) })
		}
	}
	if ids := a.left[s.resource]; len(ids) > 0 {
		s.device, a.left[s.resource] = ids[0], ids[1:]
	}
	return nil
}

// addDevice tells every plugin its device, under the two keys that plugins
// look for it (Multus).
func (l *list) addDevice(id string) error {
	if id == "" {
		return nil
	}
	quoted, err := marshal(id)
	if err != nil {
		return err
	}
	for i, raw := range l.plugins {
		conf, err := object(raw, "configuration")
		if err != nil {
			return fmt.Errorf("plugin %d: %w", i+1, err)
		}
		conf["deviceID"], conf["pciBusID"] = quoted, quoted
		if l.plugins[i], err = marshal(conf); err != nil {
			return err
		}
	}
	l.edited = true
	return nil
}
