// SPDX-License-Identifier: Apache-2.0

package resilience

import (
	"context"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/attach"
	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/daemon"
)

// Pods that somebody else attached.
var straysMutants = []mutant.Mutant{
	{Name: "strays-not-at-start", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: onStrays(&strayFault{deafAt: 1}),
		Fault: "pods that ran before the daemon started are not looked at"},
	{Name: "strays-at-start-only", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: onStrays(&strayFault{deafFrom: 2}),
		Fault: "pods are looked at when the daemon starts, and not when they come to run"},
	{Name: "strays-without-address", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: onStrays(&strayFault{running: true}),
		Fault: "a pod whose ADD has not come yet is taken for one that somebody else attached"},
	{Name: "strays-told-silently", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: onStrays(&strayFault{tell: func(string, func(string)) {}}),
		Fault: "there is no event of a pod that somebody else attached"},
	{Name: "strays-told-twice", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: onStrays(&strayFault{tell: func(message string, event func(string)) { event(message); event(message) }}),
		Fault: "there are two events of a pod that somebody else attached"},
	{Name: "strays-are-all", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, _ attach.Options) {
			h.OnAttached = func(string, string) bool { return false }
		})
	}, Fault: "pods that the daemon itself attached are reported, too"},
	{Name: "strays-asked-forgotten", Cases: []string{"RES-13"}, Kubernetes: true, Daemon: func(a *seam.Assembly) {
		a.Hook(func(h *seam.Hooks, _ daemon.Engine, o attach.Options) {
			h.OnAttached = func(namespace, name string) bool { return recorded(o, namespace, name) }
		})
	}, Fault: "a pod whose ADD is being served is taken for one that somebody else attached"},
}

// strayFault is what is wrong with how pods are followed.
type strayFault struct {
	// deafAt is the one answer of changed pods that is lost, deafFrom the first of
	// all that are; counted from 1.
	deafAt, deafFrom int
	// running has every pod run.
	running bool
	// tell takes the place of the event.
	tell func(message string, event func(string))
}

func onStrays(f *strayFault) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapAPI(func(next *seam.ApiLayer) cluster.Cluster { return &straying{ApiLayer: next, strayFault: f} })
	}
}

// straying is a cluster with such a fault.
type straying struct {
	*seam.ApiLayer
	*strayFault
	answers int
}

// ChangedPods implements cluster.Follower.
func (s *straying) ChangedPods(ctx context.Context) []cluster.PodChange {
	for {
		all := s.ApiLayer.ChangedPods(ctx)
		s.answers++
		if all == nil || s.answers != s.deafAt && (s.deafFrom == 0 || s.answers < s.deafFrom) {
			return all
		}
	}
}

// KnownPod implements cluster.Follower.
func (s *straying) KnownPod(namespace, name string) (*cluster.Pod, bool) {
	pod, ok := s.ApiLayer.KnownPod(namespace, name)
	if ok && s.running {
		all := *pod
		all.Running = true
		pod = &all
	}
	return pod, ok
}

// Event implements cluster.Recorder.
func (s *straying) Event(pod *cluster.Pod, eventType, reason, message string) {
	event := func(message string) { s.ApiLayer.Event(pod, eventType, reason, message) }
	if s.tell != nil && reason == "NetworksNotAttached" {
		s.tell(message, event)
		return
	}
	event(message)
}

// recorded reports whether there is a record of a pod whose ADD is over.
func recorded(o attach.Options, namespace, name string) bool {
	ids, _ := o.Ledger.Containers()
	for _, id := range ids {
		if rec, err := o.Ledger.Load(id); err == nil && rec.State == "added" && rec.Pod.Namespace == namespace && rec.Pod.Name == name {
			return true
		}
	}
	return false
}
