// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

const (
	// podWorkers is how many pods are looked at side by side.
	podWorkers = 8
	// podSettle is how long after a change a pod is looked at: whoever edits its
	// annotation all the time costs no more than some looks a second.
	podSettle = 300 * time.Millisecond
	// podRetryMin and podRetryMax bound the pause before a pod is looked at again
	// that could not be brought to what it asks for; it doubles each time.
	podRetryMin = time.Second
	podRetryMax = 5 * time.Minute
)

// podShare is how many of the workers one namespace has at most: pods whose
// plugins hang do not keep those of others waiting (SEC-11).
const podShare = podWorkers / 2

// podTurn is how many networks of a pod are attached and detached before the
// others have their turn.
const podTurn = 16

// podName names a pod.
type podName struct{ namespace, name string }

// follower looks at the pods of the node that have changed: whether somebody
// else attached them (RES-13), and, with reconcileNetworks, whether their
// sandboxes have the networks that they ask for now (HOT-09).
type follower struct {
	daemon *Daemon
	queue  workqueue.TypedRateLimitingInterface[podName]
	strays strays

	mu sync.Mutex
	// busy is how many pods of a namespace are being looked at.
	busy map[string]int
}

func newFollower(d *Daemon) *follower {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[podName](podRetryMin, podRetryMax)
	return &follower{daemon: d, queue: workqueue.NewTypedRateLimitingQueue(limiter), strays: newStrays(d), busy: map[string]int{}}
}

// enter begins to look at a pod of a namespace, unless it has its share.
func (f *follower) enter(namespace string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[namespace] >= podShare {
		return false
	}
	f.busy[namespace]++
	return true
}

func (f *follower) leave(namespace string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy[namespace]--; f.busy[namespace] == 0 {
		delete(f.busy, namespace)
	}
}

// run follows pods from when everything is known until ctx ends.
func (f *follower) run(ctx context.Context) {
	defer f.queue.ShutDown()
	from, ok := f.daemon.cluster.(cluster.Follower)
	if !ok || !f.awaitKnown(ctx) {
		return
	}
	workers := background.Group{Log: f.daemon.log}
	for range podWorkers {
		workers.Keep(ctx, "following pods", func(ctx context.Context) { f.work(ctx, from) })
	}
	for {
		changed := from.ChangedPods(ctx)
		if changed == nil {
			break
		}
		for _, c := range changed {
			pod := podName{c.Namespace, c.Name}
			if c.Gone {
				f.strays.forget(pod)
			} else {
				f.look(pod)
			}
		}
	}
	f.queue.ShutDown()
	workers.Wait()
}

// awaitKnown waits until pods and sandboxes are known.
func (f *follower) awaitKnown(ctx context.Context) bool {
	for _, condition := range []<-chan struct{}{f.daemon.cluster.Ready(), f.daemon.replayed} {
		select {
		case <-condition:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// look has a pod looked at soon.
func (f *follower) look(pod podName) { f.queue.AddAfter(pod, podSettle) }

func (f *follower) work(ctx context.Context, from cluster.Follower) {
	for {
		pod, over := f.queue.Get()
		if over {
			return
		}
		func() {
			defer f.queue.Done(pod)
			if ctx.Err() != nil {
				return
			}
			if !f.enter(pod.namespace) {
				f.look(pod)
				return
			}
			defer f.leave(pod.namespace)
			if again := f.strays.judge(pod, from); again > 0 {
				f.queue.AddAfter(pod, again)
			}
			if !f.daemon.config.ReconcileNetworks {
				return
			}
			if err := f.daemon.reconcile(ctx, pod, f.queue.NumRequeues(pod)); err != nil {
				f.queue.AddRateLimited(pod)
				return
			}
			f.queue.Forget(pod)
		}()
	}
}

// reconcile carries out what a pod's annotation asks for, one thing at a time. A
// daemon that is told to stop finishes what it is at, and leaves the rest to the
// next one.
func (d *Daemon) reconcile(ctx context.Context, pod podName, attempt int) error {
	for done := range podTurn {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the next daemon goes on
		}
		more, err := d.reconcileOne(ctx, pod, attempt, attempt+done == 0)
		if err != nil {
			d.log.Error("a running pod's networks are not what its annotation asks for; it is tried again",
				"pod", pod.namespace+"/"+pod.name, "attempt", attempt+1, "error", err)
		}
		if err != nil || !more {
			return err
		}
	}
	d.follower.look(pod)
	return nil
}

func (d *Daemon) reconcileOne(ctx context.Context, pod podName, attempt int, tell bool) (more bool, err error) {
	defer d.flight.enter()()
	ctx, done := d.requestContext(admission.WithArrival(context.WithoutCancel(ctx)))
	defer done()
	err = background.Try(d.log, "reconciling pod "+pod.namespace+"/"+pod.name, func() (err error) {
		more, err = d.engine.Reconcile(ctx, pod.namespace, pod.name, attempt, tell)
		return err
	})
	return more, err
}

// lookAfter has the pod of a request looked at that has changed its sandbox.
func (d *Daemon) lookAfter(p ledger.Pod, err error) {
	if err == nil && p.Name != "" {
		d.follower.look(podName{p.Namespace, p.Name})
	}
}
