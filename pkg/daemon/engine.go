// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/network"
)

// Engine is what the daemon needs of package attach: one method per request,
// and the replay at start. It is declared here, by its user, so that a program
// that embeds the daemon can put a layer of its own around the requests, after
// they have been validated and before they touch a sandbox.
type Engine interface {
	// Add, Del, Check, GC and Status carry out the requests on /cni.
	Add(ctx context.Context, r *attach.Request) (*types100.Result, error)
	Del(ctx context.Context, r *attach.Request) error
	Check(ctx context.Context, r *attach.Request) error
	GC(ctx context.Context, r *attach.Request) error
	Status(ctx context.Context) error
	// Ready says what keeps every pod from being attached; nil when nothing does.
	Ready(ctx context.Context) error
	// HotAdd, HotDel, HotCheck and HotStatus carry out those on /delegate.
	HotAdd(ctx context.Context, r *attach.Request, sel *network.Selection) (*types100.Result, error)
	// HotAnswered is told that the client of a HotAdd has its answer.
	HotAnswered(ctx context.Context, r *attach.Request)
	HotDel(ctx context.Context, r *attach.Request) error
	HotCheck(ctx context.Context, r *attach.Request) error
	HotStatus(ctx context.Context, r *attach.Request) error
	// Replay cleans up after a former daemon, once Unseen is empty; firstPass is
	// called when each of its sandboxes has been tried once.
	Replay(ctx context.Context, firstPass func())
	// Reconcile does one thing that the annotation of a running pod asks for; more
	// means that there may be another.
	Reconcile(ctx context.Context, namespace, name string, attempt int, tell bool) (more bool, err error)
	// Attached reports whether a pod has a sandbox, or an ADD of it was asked for.
	Attached(namespace, name string) bool
	// KeepPublishing publishes the network statuses that earlier daemons could not,
	// and returns when ctx has ended and nothing is being published any more.
	KeepPublishing(ctx context.Context)
	// StatusesDue is how many network statuses the cluster has not taken yet.
	StatusesDue() int
	// Unseen says which namespaces of recorded sandboxes the daemon does not see,
	// worded to follow "waiting for"; empty when it sees all.
	Unseen() string
	// Unfinished is how many of them Replay could not clean up yet.
	Unfinished() int
}

var _ Engine = (*attach.Engine)(nil)

// NewEngine makes the engine of a daemon that sets no Options.Engine.
func NewEngine(o attach.Options) Engine { return attach.New(o) }
