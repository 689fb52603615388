// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusAnnotation holds the network status of a pod (NPWG standard, section 5).
const statusAnnotation = "k8s.v1.cni.cncf.io/network-status"

// keptAnnotations are the prefixes of the annotations that say how to attach a pod.
var keptAnnotations = []string{"k8s.v1.cni.cncf.io/", "v1.multus-cni.io/", mirrorAnnotation, hashAnnotation}

// trimPod takes from a pod what podOf does not use.
func trimPod(obj any) (any, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return obj, nil
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion,
			Annotations: keep(p.Annotations), DeletionTimestamp: p.DeletionTimestamp,
		},
		Spec: corev1.PodSpec{NodeName: p.Spec.NodeName, HostNetwork: p.Spec.HostNetwork, ResourceClaims: p.Spec.ResourceClaims},
		Status: corev1.PodStatus{Phase: p.Status.Phase, PodIP: p.Status.PodIP,
			ResourceClaimStatuses: p.Status.ResourceClaimStatuses, ExtendedResourceClaimStatus: p.Status.ExtendedResourceClaimStatus},
	}, nil
}

// keep returns the annotations that attaching needs, in memory of their own:
// what a decoder makes may hold on to all of the message.
func keep(all map[string]string) map[string]string {
	var kept map[string]string
	for name, value := range all {
		for _, prefix := range keptAnnotations {
			if name != statusAnnotation && strings.HasPrefix(name, prefix) {
				if kept == nil {
					kept = map[string]string{}
				}
				kept[strings.Clone(name)] = strings.Clone(value)
			}
		}
	}
	return kept
}

// podOf returns what attaching needs of a pod that was heard of now.
func podOf(p *corev1.Pod) *Pod {
	return &Pod{
		Namespace: strings.Clone(p.Namespace), Name: strings.Clone(p.Name), UID: strings.Clone(string(p.UID)),
		NodeName: strings.Clone(p.Spec.NodeName), Annotations: keep(p.Annotations), terminating: p.DeletionTimestamp != nil,
		version: versionOf(p.ResourceVersion),
		since:   moment{version: versionOf(p.ResourceVersion), seen: time.Now()},
		claims:  claimsOf(p), Running: isRunning(p),
	}
}

// isRunning reports whether a pod that has not ended has an address of its own.
func isRunning(p *corev1.Pod) bool {
	return p.Status.PodIP != "" && !p.Spec.HostNetwork && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// versionOf reads a resource version; 0 when it cannot be compared.
func versionOf(text string) uint64 {
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// podCache has the pods of the node. It implements objectCache.
type podCache struct {
	mu     sync.RWMutex
	byName map[key]*Pod
	budget budget
	filled chan struct{}
	once   sync.Once
	// changes tells of what is put here and removed.
	changes *changes
}

func newPodCache(most int) *podCache {
	return &podCache{byName: map[key]*Pod{}, budget: newBudget(most), filled: make(chan struct{}), changes: newChanges()}
}

// trim is trimPod for a list that is being streamed. Of a pod whose annotations
// are over the budget nothing is remembered: it is looked up.
func (c *podCache) trim(obj any) (any, error) {
	trimmed, err := trimPod(obj)
	p, ok := trimmed.(*corev1.Pod)
	if !ok || err != nil {
		return trimmed, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.budget.list(annotationBytes(p.Annotations)) {
		p.Annotations = map[string]string{withheld: "true"}
	}
	return p, nil
}

func annotationBytes(annotations map[string]string) int {
	size := 0
	for name, value := range annotations {
		size += len(name) + len(value)
	}
	return size
}

// size is what a pod counts in the budget.
func (p *Pod) size() int { return annotationBytes(p.Annotations) }

// listing implements objectCache.
func (c *podCache) listing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.listed = 0
}

func (c *podCache) remove(k key) {
	if old, ok := c.byName[k]; ok {
		c.budget.kept -= old.size()
		delete(c.byName, k)
	}
}

func (c *podCache) get(k key) (*Pod, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.byName[k]
	return p, ok
}

// put keeps a pod. As long as its annotations stay the same it is as old as
// they are: its status changes all the time. former are the pods that were known.
func (c *podCache) put(former map[key]*Pod, p *corev1.Pod) {
	next := podOf(p)
	k := key{next.Namespace, next.Name}
	old, ok := former[k]
	if ok && old.UID == next.UID && maps.Equal(old.Annotations, next.Annotations) {
		next.since = old.since
	}
	if !ok || !next.same(old) {
		c.changes.note(k, false)
	}
	c.remove(k)
	if _, large := p.Annotations[withheld]; large || !c.budget.fits(next.size()) {
		return
	}
	c.budget.kept += next.size()
	c.byName[k] = next
}

// Add implements cache.ReflectorStore.
func (c *podCache) Add(obj any) error {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("%T is no pod", obj)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(c.byName, p)
	return nil
}

// Update implements cache.ReflectorStore.
func (c *podCache) Update(obj any) error { return c.Add(obj) }

// Delete implements cache.ReflectorStore.
func (c *podCache) Delete(obj any) error {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("%T is no pod", obj)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := key{p.Namespace, p.Name}
	c.remove(gone)
	c.changes.note(gone, true)
	return nil
}

// Replace implements cache.ReflectorStore.
func (c *podCache) Replace(objects []any, _ string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	former := c.byName
	c.byName, c.budget.kept, c.budget.listed = make(map[key]*Pod, len(objects)), 0, 0
	listed := map[key]bool{}
	for _, obj := range objects {
		p, ok := obj.(*corev1.Pod)
		if !ok {
			return fmt.Errorf("%T is no pod", obj)
		}
		listed[key{p.Namespace, p.Name}] = true
		c.put(former, p)
	}
	for name := range former {
		if !listed[name] {
			c.changes.note(name, true)
		}
	}
	c.once.Do(func() { close(c.filled) })
	return nil
}

// Resync implements cache.ReflectorStore.
func (c *podCache) Resync() error { return nil }

// Bookmark implements cache.ReflectorBookmarkStore. A pod that is not there is
// looked up anyway, so it does not matter how far the pods are known.
func (c *podCache) Bookmark(string) error { return nil }

func (c *podCache) synced() <-chan struct{} { return c.filled }

// setConnected implements objectCache: a pod's UID says whether it is the one
// that is asked for, however old the news of it are.
func (c *podCache) setConnected(bool) {}
