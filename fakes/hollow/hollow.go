// SPDX-License-Identifier: Apache-2.0

// Package hollow is the part of a node that an API server sees: what a thick
// plugin's daemon asks of it, without sandboxes and delegates. A program of hollow
// nodes serves many of them for a measurement (Serve), which starts it and tells it
// what to do over its standard input and output (Start): JSON-RPC, of net/rpc.
package hollow

import (
	"context"
	"fmt"
	"time"
)

// Node is a daemon's way to its API server. Its methods are safe for concurrent use.
type Node interface {
	// Run follows the API server until ctx ends.
	Run(ctx context.Context) error
	// Ready is closed as soon as pods can be attached.
	Ready() <-chan struct{}
	// Knows reports whether the node knows a network definition with this
	// configuration. It asks nobody, and is asked all the time.
	Knows(d Definition) bool
	// Attach makes the requests of the ADD of a pod, and returns when the daemon
	// would have answered.
	Attach(ctx context.Context, pod Pod) error
}

// Access is how the nodes of a program reach the API server.
type Access struct {
	// Address is host:port, CA the PEM of the certificate that signed the server's.
	Address string
	CA      []byte
	Nodes   []Identity
}

// Identity is a node's name and its daemon's own bearer token.
type Identity struct{ Name, Token string }

// Definition is a network definition, with its spec.config.
type Definition struct{ Namespace, Name, Config string }

// Pod is a pod to attach: to its node's default network as eth0, and to the
// networks, which are definitions of its own namespace, as net1 and so on.
type Pod struct {
	Node, Namespace, Name, UID string
	Networks                   []string
}

// Attachment is one of a pod's interfaces, as its delegate's result would have it.
type Attachment struct {
	// Network is namespace/name of the definition, or the default network's name.
	Network, Interface, Address, MAC string
	Default                          bool
}

// Attachments are the pod's interfaces.
func (p *Pod) Attachments() []Attachment {
	all := []Attachment{{Network: "default", Interface: "eth0", Address: "192.0.2.10", MAC: "02:00:00:00:00:00", Default: true}}
	for i, name := range p.Networks {
		all = append(all, Attachment{
			Network: p.Namespace + "/" + name, Interface: fmt.Sprintf("net%d", i+1),
			Address: fmt.Sprintf("198.51.100.%d", i+1), MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1),
		})
	}
	return all
}

// Work is pods to attach, begun at a steady rate.
type Work struct {
	Pods      []Pod
	PerSecond float64
}

// Traffic is what went over the nodes' connections to the API server so far, in
// bytes, with what TLS and HTTP add to it.
type Traffic struct {
	Sent, Received int64
	// Connections is how many were opened.
	Connections int64
}

// Open makes one node. address is the node's own way to the API server, whose
// certificate has the address's host: connections are not shared between nodes.
type Open func(id Identity, address string, ca []byte) (Node, error)

// Known is when each node knew something.
type Known []time.Time
