// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"strings"
)

// Limits bound what one pod may cost, whatever its annotations and its network
// definitions say (SEC-06). They are the daemon's keys of these names. What is
// over a limit is an error of its own pod. Zero means no bound. Configurations
// in the node's own files are not measured by SelectionLimit, PluginLimit and
// ConfigLimit: they are root's.
type Limits struct {
	// SelectionLimit is how many networks a pod may select.
	SelectionLimit int `json:"selectionLimit"`
	// PluginLimit is how many plugins a network definition may list.
	PluginLimit int `json:"pluginLimit"`
	// ConfigLimit is the largest configuration of one network, in bytes, with
	// what the selection adds to it.
	ConfigLimit int `json:"configLimit"`
	// PlanLimit is how many bytes the configurations of all of a pod's networks
	// may have together.
	PlanLimit int `json:"planLimit"`
}

// DefaultLimits are far above what networks need, and small enough for 50 MiB
// of memory: decoding a configuration can cost twenty times its length.
func DefaultLimits() Limits {
	return Limits{SelectionLimit: 64, PluginLimit: 32, ConfigLimit: 256 << 10, PlanLimit: 1 << 20}
}

const (
	// annotationLimit is what an API server accepts of all of a pod's
	// annotations together, in bytes. A directory of manifests has no such bound.
	annotationLimit = 256 << 10
	// freeOfCharge is how many bytes of configuration a pod may have without
	// taking one of the turns of Options.Turn.
	freeOfCharge = 32 << 10
)

// annotation refuses an annotation before it is read.
func (l *Limits) annotation(text string) error {
	if l.SelectionLimit == 0 {
		return nil
	}
	if len(text) > annotationLimit {
		return invalid("%d bytes are more than an annotation may have (%d)", len(text), annotationLimit)
	}
	if !strings.ContainsAny(text, `[{"`) {
		return l.selections(strings.Count(text, ",") + 1)
	}
	return nil
}

func (l *Limits) selections(count int) error {
	return exceeds("networks are selected", count, "selectionLimit", l.SelectionLimit)
}

func (l *Limits) plugins(count int) error {
	return exceeds("plugins are listed", count, "pluginLimit", l.PluginLimit)
}

func (l *Limits) config(size int) error {
	return exceeds("bytes of configuration", size, "configLimit", l.ConfigLimit)
}

func exceeds(what string, count int, key string, limit int) error {
	if limit == 0 || count <= limit {
		return nil
	}
	return invalid("%d %s; the limit is %d (%s)", count, what, limit, key)
}

// tally adds up a plan's configurations while it is made.
type tally struct {
	limits Limits
	turn   func(context.Context) error
	bytes  int
	queued bool
}

// add counts one more configuration. Of the pods with large ones only a few
// have their turn at a time, for as long as their request takes.
func (t *tally) add(ctx context.Context, d *Delegate) error {
	t.bytes += len(d.Config)
	if err := exceeds("bytes of configurations in one pod", t.bytes, "planLimit", t.limits.PlanLimit); err != nil {
		return prefixed("network "+d.Definition, err)
	}
	if t.bytes <= freeOfCharge || t.queued || t.turn == nil {
		return nil
	}
	t.queued = true
	return t.turn(ctx)
}
