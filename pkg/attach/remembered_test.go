// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// knowing is a cluster that follows one pod.
type knowing struct {
	cluster.Follower
	*drawnWorld
	pod cluster.Pod
}

// KnownPod implements cluster.Follower.
func (k *knowing) KnownPod(string, string) (*cluster.Pod, bool) { return &k.pod, true }

// TestAskedForThisPod has the ADD of a pod fail. A pod of the same name that comes
// after it was not asked for (RES-13).
func TestAskedForThisPod(t *testing.T) {
	for _, tt := range []struct {
		asked string
		pod   cluster.Pod
		want  bool
	}{
		{"1", cluster.Pod{UID: "1"}, true},
		{"1", cluster.Pod{UID: "2"}, false},
		{"", cluster.Pod{UID: "2"}, true},
		{"1", cluster.Pod{}, true},
		{"hash", cluster.Pod{UID: "2", Annotations: map[string]string{"kubernetes.io/config.hash": "hash"}}, true},
	} {
		w := newWorld(t)
		w.annotations[network.NetworksAnnotation] = "missing"
		r := &Request{ContainerID: "c1", Netns: "/proc/self/ns/net", Interface: "sandbox0", Pod: ledger.Pod{Namespace: "ns", Name: "p", UID: tt.asked}}
		if _, err := w.engine.Add(t.Context(), r); err == nil {
			t.Fatal("ADD succeeds without the definition")
		}
		w.engine.cluster = &knowing{drawnWorld: w, pod: tt.pod}
		if got := w.engine.Attached("ns", "p"); got != tt.want {
			t.Errorf("asked for %q, there is %+v: attached %v", tt.asked, tt.pod, got)
		}
		if w.engine.Attached("ns", "another") {
			t.Error("another pod is attached")
		}
	}
}

// TestFailedAddsAreForgotten has a pod whose ADD fails: nothing is remembered of
// it, for there may be any number of such pods (SEC-06).
func TestFailedAddsAreForgotten(t *testing.T) {
	w, r := followedWorld(t, "")
	remembered := func() (n int) {
		w.engine.planned.Range(func(any, any) bool { n++; return true })
		return n
	}
	if n := remembered(); n != 1 {
		t.Errorf("%d pods are remembered, want the one that is attached", n)
	}
	if err := w.engine.Del(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.node.stuck = "main"
	again := *r
	again.ContainerID = "c2"
	if _, err := w.engine.Add(t.Context(), &again); err == nil {
		t.Error("ADD succeeds with a plugin that fails")
	}
	if n := remembered(); n != 0 {
		t.Errorf("%d pods without a sandbox are remembered", n)
	}
}

// TestDueStatusOfAGoneSandbox has a sandbox deleted while the daemon is about to
// publish what an earlier one could not (RES-14).
func TestDueStatusOfAGoneSandbox(t *testing.T) {
	for _, gone := range []bool{false, true} {
		w, _ := followedWorld(t, "")
		rec, err := w.ledger.Load("c1")
		if err != nil {
			t.Fatal(err)
		}
		rec.StatusDue = true
		if err := w.ledger.Save(rec); err != nil {
			t.Fatal(err)
		}
		w.start(t)
		w.status = nil
		release, err := w.engine.locks.acquire(t.Context(), "c1") // as a DEL does
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan struct{})
		go func() { defer close(ended); w.engine.KeepPublishing(ctx) }()
		await(t, func() bool { return w.engine.locks.usersOf("c1") == 2 })
		if gone {
			if err := w.ledger.Remove("c1"); err != nil {
				t.Fatal(err)
			}
		}
		release()
		await(t, func() bool { return w.engine.locks.usersOf("c1") == 0 })
		if !gone {
			await(t, func() bool { now, err := w.ledger.Load("c1"); return err == nil && !now.StatusDue })
		}
		cancel()
		<-ended
		if (w.status == nil) != gone {
			t.Errorf("the sandbox is gone: %v; published: %v", gone, w.status)
		}
	}
}
