// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/ledger"
	"github.com/thicket-cni/thicket/pkg/network"
)

// followedWorld is a node whose pod is attached and asks for networks by and by.
func followedWorld(t *testing.T, annotation string) (*drawnWorld, *Request) {
	t.Helper()
	w := newWorld(t)
	for _, name := range []string{"blue", "stuck"} {
		w.definitions[name] = fmt.Sprintf(`{"cniVersion":"1.0.0","name":%q,"type":"a"}`, name)
	}
	w.annotations[network.NetworksAnnotation] = annotation
	r := &Request{ContainerID: "c1", Netns: "/proc/self/ns/net", Interface: "sandbox0", Pod: ledger.Pod{Namespace: "ns", Name: "p"}}
	if _, err := w.engine.Add(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return w, r
}

// attachments is how many the sandbox's record has beside the default network.
func (w *drawnWorld) attachments(t *testing.T) int {
	t.Helper()
	rec, err := w.ledger.Load("c1")
	if err != nil {
		t.Fatal(err)
	}
	return len(rec.Attachments) - 1
}

// TestReconcileStuck has a network whose plugin fails at ADD and at DEL: it is not
// attached under one more name each time that it is tried (HOT-09).
func TestReconcileStuck(t *testing.T) {
	w, r := followedWorld(t, "")
	w.node.stuck = "stuck"
	w.annotations[network.NetworksAnnotation] = "stuck"
	for attempt := range 10 {
		if more, err := w.engine.Reconcile(t.Context(), "ns", "p", attempt, false); !more || err == nil {
			t.Fatalf("attempt %d: more %v, error %v", attempt, more, err)
		}
		if n := w.attachments(t); n > 1 {
			t.Fatalf("after attempt %d the record has %d attachments of one element; interfaces: %v", attempt, n, w.node.links)
		}
	}
	w.node.stuck = ""
	for more, attempt := true, 10; more; {
		var err error
		if more, err = w.engine.Reconcile(t.Context(), "ns", "p", attempt, false); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.attachments(t); n != 1 || len(w.status) != 2 {
		t.Errorf("when it works, the record has %d attachments; the status is %v", n, w.status)
	}
	if err := w.engine.Del(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.expectNothing(t, "a network that was stuck")
}

// TestReconcileEdits has an annotation edited all the time, and nothing that is
// detached can be deleted: what a sandbox has by annotations stays bounded (SEC-06).
func TestReconcileEdits(t *testing.T) {
	w, _ := followedWorld(t, "")
	w.engine.planner = network.NewPlanner(network.Options{Limits: network.Limits{SelectionLimit: 3}}, w)
	w.node.stuck = "stuck"
	for edit := range 10 {
		w.annotations[network.NetworksAnnotation] = fmt.Sprintf(`[{"name":"stuck","interface":"x%d","cni-args":{"n":%d}}]`, edit, edit)
		for attempt := range 10 {
			_, _ = w.engine.Reconcile(t.Context(), "ns", "p", attempt, false)
		}
	}
	if n := w.attachments(t); n != 3 {
		t.Errorf("the record has %d attachments, want as many as a pod may select", n)
	}
}

// behind is a cluster that remembers another annotation than there is now.
type behind struct {
	*drawnWorld
	live string
	err  error
}

// LivePod implements cluster.LiveCluster.
func (b *behind) LivePod(context.Context, string, string) (*cluster.Pod, error) {
	return &cluster.Pod{Namespace: "ns", Name: "p", Annotations: map[string]string{network.NetworksAnnotation: b.live}}, b.err
}

// MayShow implements cluster.LiveCluster.
func (b *behind) MayShow(*cluster.Pod) bool { return true }

// TestReconcileBehind has what is remembered of a pod older than its sandbox, as
// after a restart at an API server that is behind: nothing is detached for it
// (RES-09).
func TestReconcileBehind(t *testing.T) {
	away := errors.New("away")
	for _, tt := range []struct {
		name string
		now  behind
		left int
		err  error
	}{
		{"it is behind", behind{live: "blue"}, 1, nil},
		{"nobody knows", behind{err: away}, 1, away},
		{"the pod is gone", behind{err: cluster.ErrNotFound}, 1, nil},
		{"the annotation is malformed", behind{live: "blue@a@b"}, 1, nil},
		{"it is right", behind{live: ""}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := followedWorld(t, "blue")
			tt.now.drawnWorld = w
			w.engine.cluster = &tt.now
			w.annotations[network.NetworksAnnotation] = ""
			if _, err := w.engine.Reconcile(t.Context(), "ns", "p", 0, false); !errors.Is(err, tt.err) {
				t.Errorf("got error %v, want %v", err, tt.err)
			}
			if n := w.attachments(t); n != tt.left {
				t.Errorf("%d networks are left, want %d", n, tt.left)
			}
		})
	}
}
