// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// settled is how long after a pod the news of an older definition may come in.
// The API server sends the changes of different kinds of objects side by side,
// each some milliseconds after it was stored; for a pod that is known for
// longer than this, what was there before it has arrived. It is shorter than a
// kubelet takes from a pod to its sandbox.
const settled = 500 * time.Millisecond

// keptDefinitionAnnotations is the prefix of the annotations that attaching
// looks at.
const keptDefinitionAnnotations = "k8s.v1.cni.cncf.io/"

// mostAnnotation is the longest value of one that is kept, in bytes.
const mostAnnotation = 1 << 10

// withheld marks a definition whose configuration is not remembered. Whoever
// sets it himself has his definition looked up each time.
const withheld = "thicket-cni.io/withheld"

// trimDefinition takes from a definition what is not attached by.
func trimDefinition(obj any) (any, error) {
	d, ok := obj.(*nadv1.NetworkAttachmentDefinition)
	if !ok {
		return obj, nil
	}
	maps.DeleteFunc(d.Annotations, func(name, value string) bool {
		return name != withheld && (!strings.HasPrefix(name, keptDefinitionAnnotations) || len(value) > mostAnnotation)
	})
	return &nadv1.NetworkAttachmentDefinition{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name, ResourceVersion: d.ResourceVersion, Annotations: d.Annotations},
		Spec:       nadv1.NetworkAttachmentDefinitionSpec{Config: d.Spec.Config},
	}, nil
}

// cachedDefinition is a definition without its name, which is its key.
type cachedDefinition struct {
	config      string
	annotations map[string]string
	version     uint64
	// withheld says that config is not remembered, used that it was asked for.
	withheld bool
	used     atomic.Bool
}

// withhold forgets a configuration.
func (c *cachedDefinition) withhold() { c.config, c.withheld = "", true }

func (c *cachedDefinition) definition(k key) *Definition {
	return &Definition{Namespace: k.namespace, Name: k.name, Config: c.config, Annotations: maps.Clone(c.annotations)}
}

// definitionCache has all definitions. It implements objectCache.
type definitionCache struct {
	mu     sync.RWMutex
	byName map[key]*cachedDefinition
	// seen is the version up to which all changes have come in.
	seen uint64
	// asked are definitions, and names without one, that were looked up live:
	// what is cached of them was right at this version.
	asked  map[key]uint64
	budget budget
	live   bool
	filled chan struct{}
	once   sync.Once
}

func newDefinitionCache(most int) *definitionCache {
	return &definitionCache{byName: map[key]*cachedDefinition{}, asked: map[key]uint64{}, budget: newBudget(most), filled: make(chan struct{})}
}

// trim is trimDefinition for a list that is being streamed: what is not going to
// be remembered is never in memory all at once.
func (c *definitionCache) trim(obj any) (any, error) {
	trimmed, err := trimDefinition(obj)
	d, ok := trimmed.(*nadv1.NetworkAttachmentDefinition)
	if !ok || err != nil {
		return trimmed, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.budget.list(len(d.Spec.Config)) {
		d.Spec.Config = ""
		if d.Annotations == nil {
			d.Annotations = map[string]string{}
		}
		d.Annotations[withheld] = "true"
	}
	return d, nil
}

// listing implements objectCache.
func (c *definitionCache) listing() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.budget.listed = 0
}

// put remembers a definition, with its configuration where the budget has room.
func (c *definitionCache) put(k key, d *cachedDefinition) {
	c.remove(k)
	if !d.withheld && !c.budget.fits(len(d.config)) {
		d.withhold()
	}
	c.budget.kept += len(d.config)
	c.byName[k] = d
}

func (c *definitionCache) remove(k key) {
	if old, ok := c.byName[k]; ok {
		c.budget.kept -= len(old.config)
		delete(c.byName, k)
	}
}

// keepUsed remembers a configuration that was asked for in place of some that
// never were, so that definitions that nobody uses cost those that are used
// nothing but the first look-up.
func (c *definitionCache) keepUsed(k key, found *nadv1.NetworkAttachmentDefinition) {
	have, ok := c.byName[k]
	if found == nil || !ok || !have.withheld || have.version != versionOf(found.ResourceVersion) {
		return
	}
	size := len(found.Spec.Config)
	for other, d := range c.byName {
		if c.budget.fits(size) || size > c.budget.most/budgetParts {
			break
		}
		if other != k && !d.used.Load() {
			c.budget.kept -= len(d.config)
			d.withhold()
		}
	}
	if c.budget.fits(size) {
		now := newCachedDefinition(found)
		now.used.Store(true)
		c.put(k, now)
	}
}

// get returns a definition, nil when there is none; sure says whether that is
// how it was at the given moment, or later (NET-13).
func (c *definitionCache) get(k key, since moment) (d *Definition, sure bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if found, ok := c.byName[k]; ok {
		if found.withheld {
			return nil, false
		}
		found.used.Store(true)
		d = found.definition(k)
	}
	switch {
	case since.seen.IsZero():
		return d, true
	case since.version != 0 && max(c.seen, c.asked[k]) >= since.version:
		return d, true
	default:
		return d, c.live && time.Since(since.seen) > settled
	}
}

// confirm takes in what a live look-up found, nil for nothing, that began
// after since.
func (c *definitionCache) confirm(k key, found *nadv1.NetworkAttachmentDefinition, since moment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepUsed(k, found)
	if since.version <= c.seen {
		return // the changes come in anyway
	}
	c.asked[k] = max(c.asked[k], since.version)
	old, ok := c.byName[k]
	switch {
	case found == nil && ok && old.version <= since.version:
		c.remove(k)
	case found != nil && (!ok || old.version < versionOf(found.ResourceVersion)):
		c.put(k, newCachedDefinition(found))
	}
}

// late says whether a change is older than what a live look-up found already.
func (c *definitionCache) late(k key, version uint64) bool {
	if version == 0 {
		return false
	}
	if have, ok := c.byName[k]; ok && version < have.version {
		return true
	}
	return version <= c.asked[k]
}

func newCachedDefinition(d *nadv1.NetworkAttachmentDefinition) *cachedDefinition {
	c := &cachedDefinition{config: d.Spec.Config, annotations: d.Annotations, version: versionOf(d.ResourceVersion)}
	if _, c.withheld = d.Annotations[withheld]; c.withheld {
		c.withhold()
	}
	return c
}

// Add implements cache.ReflectorStore.
func (c *definitionCache) Add(obj any) error {
	return c.change(obj, func(k key, d *nadv1.NetworkAttachmentDefinition) { c.put(k, newCachedDefinition(d)) })
}

// Update implements cache.ReflectorStore.
func (c *definitionCache) Update(obj any) error { return c.Add(obj) }

// Delete implements cache.ReflectorStore.
func (c *definitionCache) Delete(obj any) error {
	return c.change(obj, func(k key, _ *nadv1.NetworkAttachmentDefinition) { c.remove(k) })
}

func (c *definitionCache) change(obj any, do func(key, *nadv1.NetworkAttachmentDefinition)) error {
	trimmed, _ := trimDefinition(obj)
	d, ok := trimmed.(*nadv1.NetworkAttachmentDefinition)
	if !ok {
		return fmt.Errorf("%T is not a network definition", obj)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k, version := keyOf(d), versionOf(d.ResourceVersion)
	if !c.late(k, version) {
		do(k, d)
	}
	c.advance(version)
	return nil
}

func keyOf(d *nadv1.NetworkAttachmentDefinition) key {
	return key{strings.Clone(d.Namespace), strings.Clone(d.Name)}
}

// advance notes that all changes up to a version are in.
func (c *definitionCache) advance(version uint64) {
	c.seen = max(c.seen, version)
	maps.DeleteFunc(c.asked, func(_ key, at uint64) bool { return at <= c.seen })
}

// Replace implements cache.ReflectorStore.
func (c *definitionCache) Replace(objects []any, version string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	former := c.byName
	c.byName, c.budget.kept, c.budget.listed = make(map[key]*cachedDefinition, len(objects)), 0, 0
	for _, obj := range objects {
		trimmed, _ := trimDefinition(obj)
		d, ok := trimmed.(*nadv1.NetworkAttachmentDefinition)
		if !ok {
			return fmt.Errorf("%T is not a network definition", obj)
		}
		now := newCachedDefinition(d)
		if old, ok := former[keyOf(d)]; ok && old.used.Load() {
			now.used.Store(true)
			if now.withheld && !old.withheld && old.version == now.version {
				now.config, now.withheld = old.config, false
			}
		}
		c.put(keyOf(d), now)
	}
	at := versionOf(version)
	for k, asked := range c.asked {
		if have, ok := former[k]; asked > at && ok {
			c.put(k, have)
		} else if asked > at {
			c.remove(k)
		}
	}
	c.seen = at // which is less than before when the server's store was restored
	c.advance(at)
	c.once.Do(func() { close(c.filled) })
	return nil
}

// Resync implements cache.ReflectorStore.
func (c *definitionCache) Resync() error { return nil }

// Bookmark implements cache.ReflectorBookmarkStore.
func (c *definitionCache) Bookmark(version string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(versionOf(version))
	return nil
}

func (c *definitionCache) synced() <-chan struct{} { return c.filled }

func (c *definitionCache) setConnected(live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = live
}
