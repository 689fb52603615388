// SPDX-License-Identifier: Apache-2.0

package scale

// Report is what was measured, by daemon.
type Report struct {
	Sides []Side `json:"sides"`
}

// Side is what nodes with one daemon cost.
type Side struct {
	Name string `json:"name"`
	// Trials are in the order of their numbers of nodes.
	Trials []Trial `json:"trials"`
	// Lines are what grows with the number of nodes; none with fewer than two trials.
	Lines []Line `json:"lines,omitempty"`
}

// Trial is one number of nodes against an API server of its own.
type Trial struct {
	Nodes int `json:"nodes"`
	// Memory is the API server's, with nodes at rest; Idle the same without nodes.
	Memory Memory `json:"memory"`
	Idle   Memory `json:"idle"`
	// Rollout is all nodes starting at once.
	Rollout Rollout `json:"rollout"`
	// Again is all connections breaking at once: each node comes again, and follows
	// from where it was.
	Again Rollout `json:"again"`
	// Rest is nodes that have nothing to do, per second.
	Rest Rest `json:"rest"`
	// Change is one definition that changes.
	Change Change `json:"change"`
	// Pod is one pod that is attached to three networks.
	Pod Pod `json:"pod"`
	// Fresh is the same pod when its sandbox is made at once, within half a second of
	// the pod: its requests alone.
	Fresh map[string]float64 `json:"fresh"`
	// HollowMiB is the memory of the hollow nodes' processes.
	HollowMiB float64 `json:"hollowMiB"`
}

// Memory is kube-apiserver's, in MiB.
type Memory struct {
	// Resident is what the kernel counts, Live what is in use after a collection:
	// heap and stacks.
	Resident float64 `json:"resident"`
	Live     float64 `json:"live"`
}

// Rollout is all nodes coming at once.
type Rollout struct {
	// Seconds is until the last node was ready; 0 when that is not what is waited for.
	Seconds float64 `json:"seconds"`
	// Processor is kube-apiserver's, in seconds.
	Processor float64 `json:"processor"`
	// Requests are per node, watches that stay open among them.
	Requests map[string]float64 `json:"requests"`
	// MiB is what the nodes received.
	MiB float64 `json:"mib"`
}

// Rest is nodes at rest.
type Rest struct {
	// Processor is kube-apiserver's, in percent of a core, without what it takes
	// when no nodes are there.
	Processor float64 `json:"processor"`
	// Requests are per node and minute; a watch counts when it ends.
	Requests map[string]float64 `json:"requests"`
	// Events are the watch events per node and minute, bookmarks among them.
	Events float64 `json:"events"`
	// KiB is what the nodes received and sent, per second.
	KiB float64 `json:"kib"`
}

// Change is a changed definition.
type Change struct {
	// Milliseconds is the time from the write's begin until all nodes know, and Half
	// until half of them do: medians of the changes. Slowest is the slowest change.
	Milliseconds float64 `json:"milliseconds"`
	Half         float64 `json:"half"`
	Slowest      float64 `json:"slowest"`
	// Processor is kube-apiserver's, in milliseconds.
	Processor float64 `json:"processor"`
	// Events and EventKiB are the API server's own count of what it sent, KiB what
	// came over the nodes' connections.
	Events   float64 `json:"events"`
	EventKiB float64 `json:"eventKiB"`
	KiB      float64 `json:"kib"`
}

// Pod is what an ADD costs.
type Pod struct {
	// Milliseconds is the median of the time that the daemon waits for the API server,
	// P99 its 99th percentile.
	Milliseconds float64 `json:"milliseconds"`
	P99          float64 `json:"p99"`
	// Requests are per pod, by verb and resource.
	Requests map[string]float64 `json:"requests"`
	// Processor is kube-apiserver's, in milliseconds, and Store etcd's.
	Processor float64 `json:"processor"`
	Store     float64 `json:"store"`
	// Events are the watch events that come of it, KiB all traffic of the node.
	Events float64 `json:"events"`
	KiB    float64 `json:"kib"`
}

// Quantity is something that is measured in each trial.
type Quantity struct {
	// What it is, in a table; Unit is empty for a number of things.
	What, Unit string
	// Of returns it.
	Of func(t *Trial) float64
}

// Growing are the quantities that a line is drawn through.
var Growing = []Quantity{
	{"API server's memory in use, more than without nodes", "MiB", func(t *Trial) float64 { return t.Memory.Live - t.Idle.Live }},
	{"API server's resident memory, more than without nodes", "MiB", func(t *Trial) float64 { return t.Memory.Resident - t.Idle.Resident }},
	{"API server's processor, nodes at rest", "% of a core", func(t *Trial) float64 { return t.Rest.Processor }},
	{"traffic, nodes at rest", "KiB/s", func(t *Trial) float64 { return t.Rest.KiB }},
	{"all nodes start at once: API server's processor", "s", func(t *Trial) float64 { return t.Rollout.Processor }},
	{"all nodes start at once: traffic", "MiB", func(t *Trial) float64 { return t.Rollout.MiB }},
	{"all connections break: API server's processor", "s", func(t *Trial) float64 { return t.Again.Processor }},
	{"a definition changes: until all nodes know", "ms", func(t *Trial) float64 { return t.Change.Milliseconds }},
	{"a definition changes: API server's processor", "ms", func(t *Trial) float64 { return t.Change.Processor }},
	{"a definition changes: traffic", "KiB", func(t *Trial) float64 { return t.Change.KiB }},
}

// Steady are the quantities of one pod or one node, which should not grow with the
// nodes.
var Steady = []Quantity{
	{"requests of an ADD", "", func(t *Trial) float64 { return sum(t.Pod.Requests) }},
	{"requests of an ADD within half a second of its pod", "", func(t *Trial) float64 { return sum(t.Fresh) }},
	{"an ADD's wait for the API server, p50", "ms", func(t *Trial) float64 { return t.Pod.Milliseconds }},
	{"an ADD's wait for the API server, p99", "ms", func(t *Trial) float64 { return t.Pod.P99 }},
	{"API server's processor of an ADD", "ms", func(t *Trial) float64 { return t.Pod.Processor }},
	{"etcd's processor of an ADD", "ms", func(t *Trial) float64 { return t.Pod.Store }},
	{"traffic of an ADD", "KiB", func(t *Trial) float64 { return t.Pod.KiB }},
	{"requests of a node's start", "", func(t *Trial) float64 { return sum(t.Rollout.Requests) }},
	{"watches that end, of a node at rest, a minute", "", func(t *Trial) float64 { return sum(t.Rest.Requests) }},
}

func sum(all map[string]float64) float64 {
	var total float64
	for _, v := range all {
		total += v
	}
	return total
}
