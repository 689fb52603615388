// SPDX-License-Identifier: Apache-2.0

package add

import (
	"context"
	"errors"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile add: the pod.
var clusterMutants = []mutant.Mutant{
	{Name: "pod-made-up", Cases: []string{"ADD-12"}, Daemon: podMadeUp,
		Fault: "a pod that does not exist is attached to the default network"},
	{Name: "pod-uid-ignored", Cases: []string{"ADD-12"}, Daemon: podUIDIgnored,
		Fault: "the sandbox of a former pod of the same name is attached"},
}

func podMadeUp(a *seam.Assembly) {
	a.OnLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if errors.Is(err, cluster.ErrNotFound) {
			return &cluster.Pod{Namespace: namespace, Name: name}, nil
		}
		return pod, err
	})
}

func podUIDIgnored(a *seam.Assembly) {
	a.OnLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		changed := *pod
		changed.UID = ""
		return &changed, nil
	})
}
