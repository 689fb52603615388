// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"maps"
	"sync"
)

// PodChange says that a pod has come, or what attaching needs to know of it has
// changed, or that it has gone.
type PodChange struct {
	Namespace, Name string
	Gone            bool
}

// Follower is a Cluster that tells of the pods of the node as they come and go.
type Follower interface {
	// ChangedPods waits until pods have changed since the last call, and returns
	// them; at the first call it returns all that are known. It is nil when ctx has
	// ended. It has one caller.
	ChangedPods(ctx context.Context) []PodChange
	// KnownPod returns what is remembered of a pod, and asks nobody.
	KnownPod(namespace, name string) (*Pod, bool)
}

// changes collects the pods that changed until somebody asks, each once. As long
// as nobody has asked, it collects nothing.
type changes struct {
	mu   sync.Mutex
	pods map[key]bool // whether it has gone; nil before the first call
	some chan struct{}
}

func newChanges() *changes { return &changes{some: make(chan struct{}, 1)} }

func (c *changes) note(pod key, gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods == nil {
		return
	}
	c.pods[pod] = gone
	c.tell()
}

func (c *changes) tell() {
	select {
	case c.some <- struct{}{}:
	default:
	}
}

// open begins to collect, with all that is known.
func (c *changes) open(known func() []key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pods != nil {
		return
	}
	c.pods = map[key]bool{}
	for _, pod := range known() {
		c.pods[pod] = false
	}
	c.tell()
}

func (c *changes) next(ctx context.Context) []PodChange {
	for {
		select {
		case <-c.some:
		case <-ctx.Done():
			return nil
		}
		c.mu.Lock()
		var all []PodChange
		for pod, gone := range c.pods {
			all = append(all, PodChange{pod.namespace, pod.name, gone})
		}
		clear(c.pods)
		c.mu.Unlock()
		if len(all) > 0 {
			return all
		}
	}
}

// same reports whether nothing has changed that attaching needs to know.
func (p *Pod) same(other *Pod) bool {
	return p.UID == other.UID && p.terminating == other.terminating && p.Running == other.Running && maps.Equal(p.Annotations, other.Annotations)
}

// Terminating reports whether the pod is being deleted.
func (p *Pod) Terminating() bool { return p.terminating }

// OlderThan reports whether this is what a pod was before another look at it.
func (p *Pod) OlderThan(other *Pod) bool { return p.version != 0 && p.version < other.version }

// Stamp returns what OlderThan needs of a pod to compare it with later. The pod
// itself has texts of any size that its author wrote.
func (p *Pod) Stamp() *Pod { return &Pod{version: p.version} }

// ChangedPods implements Follower.
func (k *Kubernetes) ChangedPods(ctx context.Context) []PodChange {
	k.pods.changes.open(k.pods.names)
	return k.pods.changes.next(ctx)
}

// KnownPod implements Follower.
func (k *Kubernetes) KnownPod(namespace, name string) (*Pod, bool) {
	return k.pods.get(key{namespace, name})
}

// names lists the pods that are remembered.
func (c *podCache) names() []key {
	c.mu.RLock()
	defer c.mu.RUnlock()
	names := make([]key, 0, len(c.byName))
	for name := range c.byName {
		names = append(names, name)
	}
	return names
}

// ChangedPods implements Follower.
func (d *Directory) ChangedPods(ctx context.Context) []PodChange {
	d.mu.Lock()
	d.changes.open(func() []key {
		var names []key
		for name := range d.pods {
			names = append(names, name)
		}
		return names
	})
	d.mu.Unlock()
	return d.changes.next(ctx)
}

// KnownPod implements Follower.
func (d *Directory) KnownPod(namespace, name string) (*Pod, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.pods[key{namespace, name}]
	return p, ok
}

// noteChanges tells what differs from the pods that were known before.
func (d *Directory) noteChanges(former map[key]*Pod) {
	for name, p := range d.pods {
		if old := former[name]; old == nil || !p.same(old) {
			d.changes.note(name, false)
		}
	}
	for name := range former {
		if d.pods[name] == nil {
			d.changes.note(name, true)
		}
	}
}

var _, _ Follower = (*Kubernetes)(nil), (*Directory)(nil)
