// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"testing"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// TestGCOfAContainerThatWasJustAnswered: what follows an answer holds the container's
// lock for a moment. GC waits for it, and does not take it for a request that runs
// beside it, which it leaves alone (GC-01).
func TestGCOfAContainerThatWasJustAnswered(t *testing.T) {
	for name, request := range map[string]bool{"a request": true, "what follows an answer": false} {
		t.Run(name, func(t *testing.T) {
			w, _ := followedWorld(t, "")
			acquire := w.engine.locks.acquireAside
			if request {
				acquire = w.engine.locks.acquire
			}
			release, err := acquire(t.Context(), "c1")
			if err != nil {
				t.Fatal(err)
			}
			collected := make(chan error, 1)
			go func() {
				collected <- w.engine.GC(t.Context(), &Request{Config: []byte(`{"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":[]}`)})
			}()
			if request {
				err = <-collected
				release()
			} else {
				await(t, func() bool { return w.engine.locks.usersOf("c1") == 2 })
				release()
				err = <-collected
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.ledger.Load("c1"); errors.Is(err, ledger.ErrNotFound) == request {
				t.Errorf("the record afterwards: %v", err)
			}
		})
	}
}

// usersOf is how many hold or await the lock of a container.
func (l *locks) usersOf(containerID string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.m[containerID]; k != nil {
		return k.users
	}
	return 0
}
