// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"reflect"
	"testing"

	"github.com/thicket-cni/thicket/pkg/cluster"
)

// noted lists the sandboxes whose status is still to be taken away.
func (w *drawnWorld) noted(t *testing.T) []string {
	t.Helper()
	ids, err := w.engine.withdrawals.Containers()
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestWithdrawalSurvives has a sandbox deleted while its status cannot be taken
// away, and daemons that start meanwhile: each tries again (RES-14).
func TestWithdrawalSurvives(t *testing.T) {
	w, r := followedWorld(t, "blue")
	published := w.status
	if err := w.engine.Del(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(w.withdrawn) != 1 || w.withdrawn[0].Exact || len(w.noted(t)) != 1 {
		t.Fatalf("withdrawals of a DEL: %+v; noted: %v", w.withdrawn, w.noted(t))
	}
	for range 2 {
		w.start(t)
		w.engine.notePublished()
		w.engine.withdrawDue()
	}
	if len(w.withdrawn) != 3 {
		t.Fatalf("%d withdrawals after two restarts, want one each", len(w.withdrawn)-1)
	}
	if last := w.withdrawn[2]; !last.Exact || !reflect.DeepEqual(last.Status, published) || last.Pod.Name != "p" {
		t.Errorf("a later daemon takes away %+v, want exactly %+v", last, published)
	}
	w.withdrawn[2].Done()
	if left := w.noted(t); len(left) != 0 {
		t.Errorf("noted when it is taken away: %v", left)
	}
}

// going is a cluster whose pods are all going.
type going struct{ behind }

// MayShow implements cluster.LiveCluster.
func (g *going) MayShow(*cluster.Pod) bool { return false }

// TestWithdrawalOfGoingPods: nothing is written for a pod that is going.
func TestWithdrawalOfGoingPods(t *testing.T) {
	w, r := followedWorld(t, "blue")
	w.engine.cluster = &going{behind{drawnWorld: w}}
	rec, err := w.ledger.Load(r.ContainerID)
	if err != nil {
		t.Fatal(err)
	}
	if w.engine.noteWithdrawal(rec)(); len(w.noted(t)) != 0 {
		t.Errorf("noted for a pod that is going: %v", w.noted(t))
	}
	w.engine.cluster = &behind{drawnWorld: w}
	if w.engine.noteWithdrawal(rec)(); len(w.noted(t)) != 1 {
		t.Errorf("noted for a pod that stays: %v", w.noted(t))
	}
}

// TestWithdrawalGivesWay: what is published of a pod's next sandbox, or of one
// whose DEL has failed, is not taken away by a later daemon.
func TestWithdrawalGivesWay(t *testing.T) {
	w, r := followedWorld(t, "")
	w.node.stuck = "main"
	if err := w.engine.Del(t.Context(), r); err == nil || len(w.noted(t)) != 0 {
		t.Fatalf("a DEL whose plugin fails: %v; noted: %v", err, w.noted(t))
	}
	w.node.stuck = ""
	if err := w.engine.Del(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	next := *r
	next.ContainerID = "c2"
	if _, err := w.engine.Add(t.Context(), &next); err != nil {
		t.Fatal(err)
	}
	w.start(t)
	w.withdrawn = nil
	w.engine.notePublished()
	w.engine.withdrawDue()
	if len(w.withdrawn) != 0 || len(w.noted(t)) != 0 {
		t.Errorf("with another sandbox of the pod: withdrawals %+v, noted %v", w.withdrawn, w.noted(t))
	}
}
