// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"time"
)

// moment is when something was current, by the API server's count and by the
// clock of this node.
type moment struct {
	// version is a resource version, 0 when there is none. Those of all objects
	// of one API server can be compared since Kubernetes 1.35: they are
	// revisions of one store.
	version uint64
	// seen is when this node heard of it.
	seen time.Time
}

type needKey struct{}

// need is what a request asks of look-ups.
type need struct {
	offline bool
	// elsewhere means that what is not known will be looked for elsewhere.
	elsewhere bool
	since     moment
}

// ForPod returns a context whose look-ups of definitions know everything that
// was there when the pod came to be (NET-13). Without it, a definition is what
// is known of it at that moment, and nobody is asked.
func ForPod(ctx context.Context, pod *Pod) context.Context {
	return context.WithValue(ctx, needKey{}, need{since: pod.since})
}

// OrElsewhere returns a context whose look-ups do not ask for a definition that is
// not known: whoever looks it up has another place to look, and does so for every
// pod (NET-10).
func OrElsewhere(ctx context.Context) context.Context {
	n := needOf(ctx)
	n.elsewhere = true
	return context.WithValue(ctx, needKey{}, n)
}

// Offline returns a context whose look-ups ask nobody: what is not known
// already is an error, not an answer that comes late (DEL-09).
func Offline(ctx context.Context) context.Context {
	return context.WithValue(ctx, needKey{}, need{offline: true})
}

// IsOffline reports whether a context is of Offline.
func IsOffline(ctx context.Context) bool { return needOf(ctx).offline }

func needOf(ctx context.Context) need {
	n, _ := ctx.Value(needKey{}).(need)
	return n
}
