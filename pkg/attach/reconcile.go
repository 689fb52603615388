// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// Reconcile does one thing that the annotation of a running pod asks for and its
// sandbox does not have, or has and is not asked for any more (HOT-09), as a
// request of /delegate would. more means that there may be another thing to do.
// attempt counts the calls that failed since the last that did not: each begins
// with another thing, so that one network that fails does not keep the others
// away. tell has what is refused told.
//
// A pod that cannot be seen, or is going, and an annotation that is malformed
// change nothing.
func (e *Engine) Reconcile(ctx context.Context, namespace, name string, attempt int, tell bool) (more bool, err error) {
	id, attached := e.published.Load(namespace + "/" + name)
	if !attached {
		return false, nil
	}
	pod, err := e.cluster.Pod(ctx, namespace, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("pod %s/%s cannot be looked up: %w", namespace, name, err)
	}
	if planned, ok := e.planned.Load(namespace + "/" + name); pod.Terminating() || ok && pod.OlderThan(planned.(*cluster.Pod)) {
		return false, nil // the ADD has seen a newer annotation than this one
	}
	elements, err := e.planner.Elements(pod)
	if err != nil {
		e.refuse(pod, tell, "the networks of the running pod stay as they are: "+err.Error())
		return false, nil //nolint:nilerr // the event says it; until it changes there is nothing to do
	}
	r := &reconciling{engine: e, pod: pod, elements: elements, attempt: attempt, tell: tell}
	return r.step(ctx, id.(string))
}

// Attached reports whether a pod has a sandbox here, or the runtime has asked for
// one since the daemon started: for this very pod, because one of the same name
// that came after it may have been attached by somebody else (RES-13).
func (e *Engine) Attached(namespace, name string) bool {
	if _, attached := e.published.Load(namespace + "/" + name); attached {
		return true
	}
	from, ok := e.cluster.(cluster.Follower)
	if !ok {
		return false
	}
	pod, known := from.KnownPod(namespace, name)
	if known && pod.UID == "" {
		return e.asked.has(namespace + "/" + name)
	}
	return known && slices.ContainsFunc(pod.UIDs(), func(uid string) bool { return e.asked.has(namespace + "/" + name + "/" + uid) })
}

// refuse tells that an annotation, or a part of it, has no effect.
func (e *Engine) refuse(pod *cluster.Pod, tell bool, why string) {
	if !tell {
		return
	}
	e.log.Warn("a change of a running pod's networks is refused", "pod", pod.Namespace+"/"+pod.Name, "reason", why)
	e.event(pod, cluster.EventWarning, reasonRefused, "%s", why)
}

// reconciling is one call of Reconcile.
type reconciling struct {
	engine   *Engine
	pod      *cluster.Pod
	elements []network.Element
	attempt  int
	tell     bool
}

// step does the thing, with the sandbox's lock. A DEL of the sandbox ends it.
func (r *reconciling) step(ctx context.Context, containerID string) (more bool, err error) {
	e := r.engine
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	ctx, ended := e.turns.with(ctx)
	defer ended()
	rec, release, err := e.hold(ctx, &Request{ContainerID: containerID})
	var own *types.Error
	if errors.As(err, &own) && own.Code == types.ErrUnknownContainer {
		return false, nil // it is deleted
	}
	if err != nil {
		return false, err
	}
	defer release()
	defer e.locks.abortable(containerID, rec.Interface, abort)()
	if !r.pod.HasUID(rec.Pod.UID) {
		return false, nil // the annotation is that of another pod
	}
	if err := e.findOwn(rec, rec.Netns); err != nil {
		return false, err
	}
	nameAdopted(rec, r.pod)
	d := differ(r.elements, rec.Attachments)
	if len(d.detach) > 0 {
		if d, err = r.confirm(ctx, rec); err != nil {
			return false, err
		}
	}
	for _, why := range d.refused {
		e.refuse(r.pod, r.tell, why)
	}
	things := len(d.detach) + len(d.attach)
	if things == 0 {
		return false, nil
	}
	next := r.attempt % things
	if next < len(d.detach) {
		return true, r.detach(ctx, rec, d.detach[next])
	}
	return true, r.attach(ctx, rec, d.attach[next-len(d.detach)])
}

// confirm compares with the annotation as it is now, before anything is detached:
// what is remembered of a pod may be older than what was attached, as an API
// server of several may be behind the one that a former daemon heard (RES-09). A
// pod that cannot be asked for loses nothing.
func (r *reconciling) confirm(ctx context.Context, rec *ledger.Record) (difference, error) {
	live, ok := r.engine.cluster.(cluster.LiveCluster)
	if !ok {
		return differ(r.elements, rec.Attachments), nil
	}
	pod, err := live.LivePod(ctx, r.pod.Namespace, r.pod.Name)
	if errors.Is(err, cluster.ErrNotFound) || err == nil && (pod.Terminating() || !pod.HasUID(rec.Pod.UID)) {
		return difference{}, nil
	}
	if err != nil {
		return difference{}, fmt.Errorf("pod %s/%s, whose annotation some networks are not in any more: %w", r.pod.Namespace, r.pod.Name, err)
	}
	elements, err := r.engine.planner.Elements(pod)
	if err != nil {
		return difference{}, nil //nolint:nilerr // it is refused when the change is heard of
	}
	r.pod, r.elements = pod, elements
	return differ(elements, rec.Attachments), nil
}

func (r *reconciling) detach(ctx context.Context, rec *ledger.Record, at int) error {
	a := rec.Attachments[at]
	if err := r.engine.unplug(context.WithoutCancel(ctx), rec, at, rec.Netns); err != nil {
		r.engine.event(r.pod, cluster.EventWarning, reasonFailedRemove, "Remove %s from %s: %v", a.Interface, a.Definition, err)
		return fmt.Errorf("detaching %s from %s: %w", a.Interface, a.Definition, err)
	}
	r.engine.log.Info("detached, as the pod's annotation does not ask for it any more", "sandbox", rec.ContainerID, "pod", podKey(rec.Pod),
		"interface", a.Interface, "network", a.Definition)
	r.engine.event(r.pod, cluster.EventNormal, reasonRemoved, "Remove %s from %s", a.Interface, a.Definition)
	return nil
}

func (r *reconciling) attach(ctx context.Context, rec *ledger.Record, n int) error {
	element := &r.elements[n]
	request := &Request{ContainerID: rec.ContainerID, Netns: rec.Netns, Interface: r.nameFor(rec, n), Args: rec.Args, Pod: rec.Pod}
	_, err := r.engine.plug(ctx, rec, &plugging{Request: request, element: element, pod: r.pod})
	if err != nil {
		return fmt.Errorf("attaching %s as %s: %w", element.Definition, request.Interface, err)
	}
	r.engine.log.Info("attached, as the pod's annotation asks for it now", "sandbox", rec.ContainerID, "pod", podKey(rec.Pod),
		"interface", request.Interface, "network", element.Definition)
	return nil
}

// nameFor is the interface name that an element asks for, or the one that it
// would have had at ADD by its place, or the next that is free.
func (r *reconciling) nameFor(rec *ledger.Record, n int) string {
	if name := r.elements[n].Interface; name != "" {
		return name
	}
	place := n + 1
	for i := range rec.Attachments {
		if a := &rec.Attachments[i]; a.Selected == "" && !a.HotPlugged && !a.Default && !a.Auxiliary && a.Of == "" {
			place++ // the node's configuration attaches it to every pod
		}
	}
	for ; ; place++ {
		name := fmt.Sprintf("net%d", place)
		if rec.Find(name) < 0 && !slices.ContainsFunc(r.elements, func(e network.Element) bool { return e.Interface == name }) {
			return name
		}
	}
}

// has is what a sandbox has, for one more network to be planned.
func has(rec *ledger.Record) network.Sandbox {
	s := network.Sandbox{Devices: map[string][]string{}}
	for i := range rec.Attachments {
		a := &rec.Attachments[i]
		s.Bytes += len(a.Config)
		if owned(a) {
			s.Selected++
		}
		if id, ok := a.CapabilityArgs["deviceID"].(string); ok && a.Resource != "" {
			s.Devices[a.Resource] = append(s.Devices[a.Resource], id)
		}
	}
	return s
}
