// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"testing"
)

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
		await(t, func() bool {
			w.engine.locks.mu.Lock()
			defer w.engine.locks.mu.Unlock()
			return w.engine.locks.m["c1"].users == 2
		})
		if gone {
			if err := w.ledger.Remove("c1"); err != nil {
				t.Fatal(err)
			}
		}
		release()
		await(t, func() bool { return !w.engine.locks.busy("c1") })
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
