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
		for _, id := range []string{"before", "between"} {
			if err := s.await(t.Context(), "n", at(id)); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
		begin("during")
		if err := s.await(t.Context(), "other", at("during")); err != nil {
			t.Error(err)
		}
		gone, leave := context.WithCancelCause(t.Context())
		leave(errors.New("gone"))
		if err := s.await(gone, "n", at("during")); err == nil {
			t.Error("an ADD that began during the sweep does not wait")
		}
		waited := make(chan error, 1)
		go func() { waited <- s.await(t.Context(), "n", at("during")) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
		end()
		if err := <-waited; err != nil {
			t.Error(err)
		}
		_, valid, end, err = s.start(t.Context(), "n", nil)
		if err != nil || !valid[at("during")] {
			t.Errorf("the next sweep does not know of it: %v, %v", valid, err)
		}
		end()
		closed()
		if s.begun != nil || len(s.running) != 0 {
			t.Errorf("left: %v, %v", s.begun, s.running)
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
		if err := s.await(t.Context(), "n", types.GCAttachment{ContainerID: "c", IfName: "eth0"}); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("it waited for %s", waited)
		}
	})
}
