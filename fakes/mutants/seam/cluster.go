// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"context"

	"github.com/containernetworking/cni/pkg/invoke"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// Lookups is a cluster whose look-up of pods a fault replaces.
type Lookups struct {
	cluster.Cluster
	OnPod func(ctx context.Context, namespace, name string) (*cluster.Pod, error)
}

// Pod implements cluster.Cluster.
func (l *Lookups) Pod(ctx context.Context, namespace, name string) (*cluster.Pod, error) {
	return l.OnPod(ctx, namespace, name)
}

// Run follows the real cluster where that has to be run.
func (l *Lookups) Run(ctx context.Context) error {
	if r, ok := l.Cluster.(interface{ Run(context.Context) error }); ok {
		return r.Run(ctx)
	}
	<-ctx.Done()
	return nil
}

// ChangedPods implements cluster.Follower where the real cluster does.
func (l *Lookups) ChangedPods(ctx context.Context) []cluster.PodChange {
	if f, ok := l.Cluster.(cluster.Follower); ok {
		return f.ChangedPods(ctx)
	}
	<-ctx.Done()
	return nil
}

// KnownPod implements cluster.Follower where the real cluster does.
func (l *Lookups) KnownPod(namespace, name string) (*cluster.Pod, bool) {
	if f, ok := l.Cluster.(cluster.Follower); ok {
		return f.KnownPod(namespace, name)
	}
	return nil, false
}

// definitions is a cluster whose definitions a fault changes.
type definitions struct {
	*Lookups
	definition func(ctx context.Context, namespace, name string) (*cluster.Definition, error)
}

// Definition implements cluster.Cluster.
func (d *definitions) Definition(ctx context.Context, namespace, name string) (*cluster.Definition, error) {
	return d.definition(ctx, namespace, name)
}

// finder is an Exec that finds plugins in its own way.
type finder struct {
	invoke.Exec
	find func(plugin string, dirs []string, next invoke.Exec) (string, error)
}

// FindInPath implements invoke.Exec.
func (f *finder) FindInPath(plugin string, dirs []string) (string, error) {
	return f.find(plugin, dirs, f.Exec)
}
