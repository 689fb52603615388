// SPDX-License-Identifier: Apache-2.0

package devices

import (
	"context"
	"slices"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// DefaultSocket is where the kubelet serves its pod-resources API.
const DefaultSocket = "/var/lib/kubelet/pod-resources/kubelet.sock"

// Source knows the devices of this node's pods. It is safe for concurrent use.
type Source struct {
	socket string
	claims cluster.Claims
}

// NewSource returns a Source that asks the kubelet on the unix socket, and c
// for resource claims when it is a cluster that has them (cluster.Claims).
// Nothing is asked before Of is called.
func NewSource(socket string, c cluster.Cluster) *Source {
	claims, _ := c.(cluster.Claims)
	return &Source{socket: socket, claims: claims}
}

// Of returns the ids of a pod's devices by the name of their resource, sorted,
// each once: whoever else hands a pod's devices out in this order agrees. Errors
// name the socket, or the claim and the API server.
func (s *Source) Of(ctx context.Context, pod *cluster.Pod) (map[string][]string, error) {
	ids, err := s.plugged(ctx, pod)
	if err != nil {
		return nil, err
	}
	if s.claims != nil {
		claimed, err := s.claims.ClaimedDevices(ctx, pod)
		if err != nil {
			return nil, err
		}
		for _, d := range claimed {
			ids[d.Resource] = append(ids[d.Resource], d.ID)
		}
	}
	for resource := range ids {
		// A device is listed once per container and per NUMA node that it is of.
		slices.Sort(ids[resource])
		ids[resource] = slices.Compact(ids[resource])
	}
	return ids, nil
}
