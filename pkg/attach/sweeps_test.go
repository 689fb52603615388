// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// TestSweepsKnowWhatBegan has an ADD begin before, between and during the sweeps
// of a GC.
func TestSweepsKnowWhatBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sweeps
		at := func(id string) types.GCAttachment { return types.GCAttachment{ContainerID: id, IfName: "eth0"} }
		begin := func(id string) {
			rec := &ledger.Record{ContainerID: id, Attachments: []ledger.Attachment{{Network: "n", Interface: "eth0"}}}
			s.begin(rec, rec.Attachments)
		}
		begin("before") // the ledger's list has it
		closed := s.open()
		begin("between")
		_, valid, end, err := s.start(t.Context(), "n", map[types.GCAttachment]bool{at("before"): true})
		if err != nil || !valid[at("before")] || !valid[at("between")] || len(valid) != 2 {
			t.Fatalf("valid are %v, %v", valid, err)
		}
		begin("during")
		if leave, err := s.enter(t.Context(), "other"); err != nil {
			t.Error(err)
		} else {
			leave()
		}
		gone, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("gone"))
		if _, err := s.enter(gone, "n"); err == nil {
			t.Error("an ADD of the network does not wait for the sweep")
		}
		entered := make(chan func(), 1)
		go func() {
			leave, err := s.enter(t.Context(), "n")
			if err != nil {
				t.Error(err)
			}
			entered <- leave
		}()
		synctest.Wait()
		select {
		case <-entered:
			t.Fatal("it did not wait")
		default:
		}
		end()
		(<-entered)()
		_, valid, end, err = s.start(t.Context(), "n", nil)
		if err != nil || !valid[at("during")] {
			t.Errorf("the next sweep does not know of it: %v, %v", valid, err)
		}
		end()
		closed()
		if s.begun != nil || len(s.running) != 0 || len(s.busy) != 0 {
			t.Errorf("left: %v, %v, %v", s.begun, s.running, s.busy)
		}
	})
}

// TestASweepIsAlone: it waits for the ADDs and DELs of its network, and not for
// ever (RT-21, SEC-11).
func TestASweepIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sweeps
		after := func(d time.Duration, network string) {
			t.Helper()
			leave, err := s.enter(t.Context(), network)
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(d, leave)
		}
		for _, c := range []struct{ takes, want time.Duration }{{time.Second, time.Second}, {time.Hour, exclusion}} {
			after(c.takes, "n")
			after(2*time.Hour, "other")
			began := time.Now()
			_, _, end, err := s.start(t.Context(), "n", nil)
			if err != nil {
				t.Fatal(err)
			}
			end()
			if waited := time.Since(began); waited != c.want {
				t.Errorf("a sweep waited for %s while an ADD took %s, want %s", waited, c.takes, c.want)
			}
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.busy) != 0 {
			t.Errorf("left: %v", s.busy)
		}
	})
}

// TestAnADDEndsASweepThatLasts: plugins may hang one after the other (SEC-11).
func TestAnADDEndsASweepThatLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sweeps{patience: time.Minute}
		sweeping, _, end, err := s.start(t.Context(), "n", nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			<-sweeping.Done()
			if cause := context.Cause(sweeping); !errors.Is(cause, errAwaited) {
				t.Error(cause)
			}
			end()
		}()
		began := time.Now()
		leave, err := s.enter(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		leave()
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("it waited for %s", waited)
		}
	})
}
