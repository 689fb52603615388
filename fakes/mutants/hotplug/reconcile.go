// SPDX-License-Identifier: Apache-2.0

package hotplug

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// What a daemon makes of a running pod's annotation.
var reconcileMutants = []mutant.Mutant{
	{Name: "reconcile-only-attaches", Cases: []string{"HOT-09"}, Daemon: reconcileOnlyAttaches,
		Fault: "a network that is taken out of a running pod's annotation stays attached"},
	{Name: "reconcile-attaches-anew", Cases: []string{"HOT-09"}, Daemon: reconcileAttachesAnew,
		Fault: "when a running pod's annotation changes, all of its networks are detached and attached anew"},
	{Name: "reconcile-changed-element-replaced", Cases: []string{"HOT-09"}, Daemon: reconcileReplacesChanged,
		Fault: "an attachment of which something else is asked is detached and attached anew"},
	{Name: "reconcile-refused-silently", Cases: []string{"HOT-09"}, Kubernetes: true, Daemon: reconcileRefusedSilently,
		Fault: "there is no event when a change of a running pod's annotation is refused"},
	{Name: "reconcile-malformed-is-empty", Cases: []string{"HOT-09"}, Daemon: reconcileMalformedIsEmpty,
		Fault: "an annotation that is malformed is taken for none, and all networks are detached"},
	{Name: "reconcile-gone-pod-is-empty", Cases: []string{"HOT-09"}, Daemon: reconcileGoneIsEmpty,
		Fault: "a pod that cannot be found is taken for one that asks for nothing"},
	{Name: "reconcile-changes-only", Cases: []string{"HOT-09"}, Daemon: reconcileChangesOnly,
		Fault: "what changed while the daemon was away is not carried out"},
	{Name: "reconcile-not-again", Cases: []string{"HOT-09"}, Daemon: onReconcile(func(ctx context.Context, c reconcileCall, next daemon.Engine, _ attach.Options) (bool, error) {
		more, err := next.Reconcile(ctx, c.namespace, c.name, c.attempt, c.tell)
		return more && err == nil, nil
	}), Fault: "a network that could not be attached is not tried again"},
	{Name: "reconcile-in-order-only", Cases: []string{"HOT-09"}, Daemon: onReconcile(func(ctx context.Context, c reconcileCall, next daemon.Engine, _ attach.Options) (bool, error) {
		return next.Reconcile(ctx, c.namespace, c.name, 0, c.tell)
	}), Fault: "a network that cannot be attached keeps the networks behind it away"},
	{Name: "reconcile-status-stays", Cases: []string{"HOT-09"}, Daemon: func(a *seam.Assembly) {
		a.Cluster = &silent{&seam.Lookups{Cluster: a.Cluster, OnPod: a.Cluster.Pod}, map[string]bool{}}
	}, Fault: "network-status stays what it was at ADD when the annotation changes"},
	{Name: "reconcile-takes-requested", Cases: []string{"HOT-09"}, Daemon: reconcileTakesRequested,
		Fault: "what a request has attached is detached, as the annotation does not have it"},
	{Name: "reconcile-stuck-under-more-names", Cases: []string{"HOT-09"}, Daemon: reconcileStuckElsewhere,
		Fault: "a network that can be neither attached nor deleted is attached under one more name each time"},
	{Name: "reconcile-twice-is-once", Cases: []string{"HOT-09"}, Daemon: reconcileTwiceIsOnce,
		Fault: "a network that a running pod selects twice is attached once"},
	{Name: "reconcile-keeps-given-name", Cases: []string{"HOT-09"}, Daemon: reconcileKeepsGivenName,
		Fault: "an interface name that goes from one network to another stays with the first, and the other is never attached"},
	{Name: "reconcile-interrupted-forgotten", Cases: []string{"HOT-09"}, Daemon: reconcileInterruptedForgotten,
		Fault: "what a killed daemon was attaching or detaching is forgotten, with its interface and lease"},
}

// reconcileCall are the arguments of Reconcile.
type reconcileCall struct {
	namespace, name string
	attempt         int
	tell            bool
}

func onReconcile(f func(ctx context.Context, c reconcileCall, next daemon.Engine, o attach.Options) (bool, error)) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, next daemon.Engine, o attach.Options) {
			h.OnReconcile = func(ctx context.Context, namespace, name string, attempt int, tell bool) (bool, error) {
				return f(ctx, reconcileCall{namespace, name, attempt, tell}, next, o)
			}
		})
	}
}

// recordOf finds the sandbox of a pod; nil when it has none.
func recordOf(o attach.Options, namespace, name string) *ledger.Record {
	ids, _ := o.Ledger.Containers()
	for _, id := range ids {
		if rec, err := o.Ledger.Load(id); err == nil && rec.Pod.Namespace == namespace && rec.Pod.Name == name {
			return rec
		}
	}
	return nil
}

// unplugThose removes some attachments of a pod's sandbox.
func unplugThose(ctx context.Context, c reconcileCall, next daemon.Engine, o attach.Options, those func(*ledger.Attachment) bool) error {
	rec := recordOf(o, c.namespace, c.name)
	if rec == nil || rec.State != ledger.StateAdded {
		return nil
	}
	var err error
	for i := range rec.Attachments {
		if a := &rec.Attachments[i]; !a.Default && those(a) {
			r := &attach.Request{ContainerID: rec.ContainerID, Netns: rec.Netns, Interface: a.Interface, Pod: rec.Pod}
			err = errors.Join(err, next.HotDel(ctx, r))
		}
	}
	return err
}

// annotationChanged reports whether a pod's annotation is another one than at the
// last call with the same memory.
func annotationChanged(ctx context.Context, c reconcileCall, o attach.Options, last map[string]string) (former, now string, changed bool) {
	pod, err := o.Cluster.Pod(ctx, c.namespace, c.name)
	if err != nil {
		return "", "", false
	}
	now = pod.Annotations[network.NetworksAnnotation]
	former, known := last[c.name]
	last[c.name] = now
	return former, now, known && former != now
}

func reconcileOnlyAttaches(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return &unselected{next} })
}

// unselected is a ledger that does not know what came from an annotation.
type unselected struct{ attach.Ledger }

// Load implements attach.Ledger.
func (u *unselected) Load(containerID string) (*ledger.Record, error) {
	rec, err := u.Ledger.Load(containerID)
	if rec != nil {
		for i := range rec.Attachments {
			rec.Attachments[i].Selected = ""
		}
	}
	return rec, err
}

func reconcileTakesRequested(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return &allSelected{next} })
}

// allSelected is a ledger in which everything came from an annotation.
type allSelected struct{ attach.Ledger }

// Load implements attach.Ledger.
func (l *allSelected) Load(containerID string) (*ledger.Record, error) {
	rec, err := l.Ledger.Load(containerID)
	if rec != nil {
		for i := range rec.Attachments {
			if at := &rec.Attachments[i]; at.Selected == "" && at.HotPlugged {
				at.Selected = "somebody's"
			}
		}
	}
	return rec, err
}

func reconcileStuckElsewhere(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return &unawaited{next} })
}

// unawaited is a ledger in which what is not finished is of another element.
type unawaited struct{ attach.Ledger }

// Load implements attach.Ledger.
func (u *unawaited) Load(containerID string) (*ledger.Record, error) {
	rec, err := u.Ledger.Load(containerID)
	if rec != nil {
		for i := range rec.Attachments {
			if at := &rec.Attachments[i]; at.State != "" && at.Selected != "" {
				at.Selected = "another"
			}
		}
	}
	return rec, err
}

func reconcileTwiceIsOnce(a *seam.Assembly) {
	a.OnPod(func(annotations map[string]string) {
		var elements []map[string]any
		if json.Unmarshal([]byte(annotations[network.NetworksAnnotation]), &elements) != nil {
			return
		}
		seen := map[any]bool{}
		elements = slices.DeleteFunc(elements, func(e map[string]any) bool {
			again := seen[e["name"]]
			seen[e["name"]] = true
			return again
		})
		if text, err := json.Marshal(elements); err == nil {
			annotations[network.NetworksAnnotation] = string(text)
		}
	})
}

func reconcileKeepsGivenName(a *seam.Assembly) {
	var mu sync.Mutex
	holders := map[string]string{} // the first network, by interface name
	a.OnPod(func(annotations map[string]string) {
		mu.Lock()
		defer mu.Unlock()
		all := strings.Split(annotations[network.NetworksAnnotation], ",")
		kept := slices.DeleteFunc(slices.Clone(all), func(element string) bool {
			asker, name, named := strings.Cut(element, "@")
			if !named {
				return false
			}
			holder, held := holders[name]
			if !held {
				holders[name] = asker
			}
			return held && holder != asker && slices.Contains(all, holder)
		})
		if len(kept) < len(all) {
			annotations[network.NetworksAnnotation] = strings.Join(kept, ",")
		}
	})
}

func reconcileInterruptedForgotten(a *seam.Assembly) {
	a.WrapLedger(func(next attach.Ledger) attach.Ledger { return &finishedOnly{next} })
	// What is not finished has to meet a kill.
	a.OnPlugin(func(ctx context.Context, p *seam.Plugin, run seam.RunPlugin) ([]byte, error) {
		output, err := run(ctx, p)
		if p.Command() == "ADD" && p.CommandOfRequest() == "" { // what an annotation asks for is of no request
			time.Sleep(lingering)
		}
		return output, err
	})
}

// lingering is how long a plugin of the fault takes longer than another one.
const lingering = time.Second

// finishedOnly is a ledger without what an annotation's change has not finished.
type finishedOnly struct{ attach.Ledger }

// Load implements attach.Ledger.
func (f *finishedOnly) Load(containerID string) (*ledger.Record, error) {
	rec, err := f.Ledger.Load(containerID)
	if rec != nil {
		rec.Attachments = slices.DeleteFunc(rec.Attachments, func(at ledger.Attachment) bool { return at.State != "" && at.Selected != "" })
	}
	return rec, err
}

func reconcileAttachesAnew(a *seam.Assembly) {
	last := map[string]string{}
	onReconcile(func(ctx context.Context, c reconcileCall, next daemon.Engine, o attach.Options) (bool, error) {
		if _, _, changed := annotationChanged(ctx, c, o, last); changed {
			if err := unplugThose(ctx, c, next, o, func(*ledger.Attachment) bool { return true }); err != nil {
				return false, err
			}
		}
		return next.Reconcile(ctx, c.namespace, c.name, c.attempt, c.tell)
	})(a)
}

func reconcileReplacesChanged(a *seam.Assembly) {
	last := map[string]string{}
	onReconcile(func(ctx context.Context, c reconcileCall, next daemon.Engine, o attach.Options) (bool, error) {
		former, now, changed := annotationChanged(ctx, c, o, last)
		if changed && strings.Contains(now, "cni-args") && !strings.Contains(former, "cni-args") {
			if err := unplugThose(ctx, c, next, o, func(at *ledger.Attachment) bool { return at.Interface == "hot0" }); err != nil {
				return false, err
			}
		}
		return next.Reconcile(ctx, c.namespace, c.name, c.attempt, c.tell)
	})(a)
}

func reconcileRefusedSilently(a *seam.Assembly) {
	a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &untold{next} })
}

// untold is a cluster without the events of refusals.
type untold struct{ *seam.ApiLayer }

// Event implements cluster.Recorder.
func (u *untold) Event(pod *cluster.Pod, eventType, reason, message string) {
	if reason != "ChangeRefused" {
		u.ApiLayer.Event(pod, eventType, reason, message)
	}
}

func reconcileMalformedIsEmpty(a *seam.Assembly) {
	a.OnPod(func(annotations map[string]string) {
		if strings.Count(annotations[network.NetworksAnnotation], "@") > 1 && strings.Contains(annotations[network.NetworksAnnotation], "hot0@") {
			annotations[network.NetworksAnnotation] = ""
		}
	})
}

func reconcileGoneIsEmpty(a *seam.Assembly) {
	onReconcile(func(ctx context.Context, c reconcileCall, next daemon.Engine, o attach.Options) (bool, error) {
		if _, err := o.Cluster.Pod(ctx, c.namespace, c.name); err != nil {
			return false, unplugThose(ctx, c, next, o, func(at *ledger.Attachment) bool { return at.Selected != "" })
		}
		return next.Reconcile(ctx, c.namespace, c.name, c.attempt, c.tell)
	})(a)
	told := a.Cluster
	a.Cluster = &going{&seam.Lookups{Cluster: told, OnPod: told.Pod}}
}

// going is a cluster that tells of a pod that has gone as of one that changed.
type going struct{ *seam.Lookups }

// ChangedPods implements cluster.Follower.
func (g *going) ChangedPods(ctx context.Context) []cluster.PodChange {
	all := g.Lookups.ChangedPods(ctx)
	for i := range all {
		all[i].Gone = false
	}
	return all
}

func reconcileChangesOnly(a *seam.Assembly) {
	first := true
	told := a.Cluster
	a.Cluster = &forgetful{&seam.Lookups{Cluster: told, OnPod: told.Pod}, &first}
}

// forgetful is a cluster that does not tell of the pods that are there at first.
type forgetful struct {
	*seam.Lookups
	first *bool
}

// ChangedPods implements cluster.Follower.
func (f *forgetful) ChangedPods(ctx context.Context) []cluster.PodChange {
	if *f.first {
		*f.first = false
		_ = f.Lookups.ChangedPods(ctx)
	}
	return f.Lookups.ChangedPods(ctx)
}
