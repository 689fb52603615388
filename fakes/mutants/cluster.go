// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"maps"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// The profile add: the pod.
func init() {
	register(
		mutant{name: "pod-made-up", cases: []string{"ADD-12"}, daemon: podMadeUp,
			fault: "a pod that does not exist is attached to the default network"},
		mutant{name: "pod-uid-ignored", cases: []string{"ADD-12"}, daemon: podUIDIgnored,
			fault: "the sandbox of a former pod of the same name is attached"},
	)
}

// lookups is a cluster whose look-up of pods a fault replaces.
type lookups struct {
	cluster.Cluster
	pod func(ctx context.Context, namespace, name string) (*cluster.Pod, error)
}

// Pod implements cluster.Cluster.
func (l *lookups) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return l.pod(ctx, namespace, name)
}

// Run follows the real cluster where that has to be run.
func (l *lookups) Run(ctx context.Context) error {
	if r, ok := l.Cluster.(interface{ Run(context.Context) error }); ok {
		return r.Run(ctx)
	}
	<-ctx.Done()
	return nil
}

// onLookup replaces the look-up of pods.
func (a *assembly) onLookup(f func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error)) {
	next := a.cluster
	a.cluster = &lookups{next, func(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
		return f(ctx, namespace, name, next)
	}}
}

// onPod changes the annotations that a pod is found with.
func (a *assembly) onPod(f func(annotations map[string]string)) {
	a.onLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		changed := *pod
		changed.Annotations = maps.Clone(pod.Annotations)
		if changed.Annotations == nil {
			changed.Annotations = map[string]string{}
		}
		f(changed.Annotations)
		return &changed, nil
	})
}

func podMadeUp(a *assembly) {
	a.onLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if errors.Is(err, cluster.ErrNotFound) {
			return &cluster.Pod{Namespace: namespace, Name: name}, nil
		}
		return pod, err
	})
}

func podUIDIgnored(a *assembly) {
	a.onLookup(func(ctx context.Context, namespace, name string, next cluster.Cluster) (*cluster.Pod, error) {
		pod, err := next.Pod(ctx, namespace, name)
		if err != nil {
			return nil, err
		}
		changed := *pod
		changed.UID = ""
		return &changed, nil
	})
}
