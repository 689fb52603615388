// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
)

const (
	// strayPatience is how long a pod that has an address may be unknown here: its
	// ADD, or that of its next sandbox, may be on the way.
	strayPatience = 5 * time.Second
	// straysTold is how many are named in the answer of /readyz.
	straysTold = 10
	// reasonStray is the reason of their event.
	reasonStray = "NetworksNotAttached"
)

// strays are pods of this node that ask for networks and run without them,
// because somebody else attached them: while the daemon, or its configuration,
// was not there (RES-13).
type strays struct {
	daemon *Daemon
	mu     *sync.Mutex
	// since is when each was seen first; told are those that were reported.
	since map[podName]time.Time
	told  map[podName]bool
}

func newStrays(d *Daemon) strays {
	return strays{daemon: d, mu: &sync.Mutex{}, since: map[podName]time.Time{}, told: map[podName]bool{}}
}

// judge reports a pod that has been a stray for long enough, once, and says when
// to look again at one that has not; 0 for never.
func (s *strays) judge(pod podName, from cluster.Follower) (again time.Duration) {
	known, ok := from.KnownPod(pod.namespace, pod.name)
	if !ok || !asks(known) || !known.Running || known.Terminating() || s.daemon.engine.Attached(pod.namespace, pod.name) {
		s.forget(pod)
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	since, seen := s.since[pod]
	if !seen {
		since = time.Now()
		s.since[pod] = since
	}
	if left := strayPatience - time.Since(since); left > 0 {
		return left
	}
	if !s.told[pod] {
		s.told[pod] = true
		s.report(known)
	}
	return 0
}

// asks reports whether a pod asks for networks; an empty list does not. Of an
// annotation that is malformed somebody expects something.
func asks(pod *cluster.Pod) bool {
	selections, err := network.ParseSelections(pod.Annotations[network.NetworksAnnotation], pod.Namespace)
	return err != nil || len(selections) > 0
}

func (s *strays) report(pod *cluster.Pod) {
	s.daemon.log.Error("a pod runs without the networks that it asks for: it was attached by somebody else; delete it, so that it is made anew",
		"pod", pod.Namespace+"/"+pod.Name)
	if r, ok := s.daemon.cluster.(cluster.Recorder); ok {
		r.Event(pod, cluster.EventWarning, reasonStray,
			"The pod asks for networks ("+network.NetworksAnnotation+") and was attached without the daemon that attaches them; delete it, so that it is made anew")
	}
}

// forget takes a pod out that has gone, or has what it asks for.
func (s *strays) forget(pod podName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, pod)
	delete(s.told, pod)
}

// count is how many have been reported and still run.
func (s *strays) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.told)
}

// warning names them for an operator; "" when there are none.
func (s *strays) warning() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) == 0 {
		return ""
	}
	var names []string
	for pod := range maps.Keys(s.told) {
		names = append(names, pod.namespace+"/"+pod.name)
	}
	slices.Sort(names)
	more := ""
	if len(names) > straysTold {
		more = fmt.Sprintf(" and %d more", len(names)-straysTold)
		names = names[:straysTold]
	}
	return fmt.Sprintf("pods that run without the networks that they ask for: %s%s; delete them, so that they are made anew", strings.Join(names, ", "), more)
}
