// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// ApiLayer is an API server's cluster with all that it can do; layers embed it
// and replace methods one by one.
type ApiLayer struct{ *cluster.Kubernetes }

// publishing is a cluster whose PublishStatus a fault replaces.
type publishing struct {
	*ApiLayer
	publish func(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error
}

// PublishStatus implements cluster.Cluster.
func (p *publishing) PublishStatus(ctx context.Context, pod *cluster.Pod, status []cluster.NetworkStatus) error {
	return p.publish(ctx, pod, status)
}
