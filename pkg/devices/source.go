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

// Of returns the ids of a pod's devices by the name of their resource, each
// once: container by container in the pod's order, then claim by claim, and
// sorted within each. A pod that writes its networks in the order of its
// containers has them agree on the devices; an order across the pod would give
// one container the other's (NET-26). Errors name the socket, or the claim and
// the API server.
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
		ids[resource] = firstOfEach(ids[resource])
	}
	return ids, nil
}

// firstOfEach drops what came before: a device may be listed for several
// containers.
func firstOfEach(ids []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(ids, func(id string) bool {
		again := seen[id]
		seen[id] = true
		return again
	})
}
