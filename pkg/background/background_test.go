// SPDX-License-Identifier: Apache-2.0

package background

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTryReturnsAPanicAsAnError(t *testing.T) {
	var text bytes.Buffer
	before := Panics()
	err := Try(slog.New(slog.NewTextHandler(&text, nil)), "sums", func() error { panic("no such number") })
	var p *PanicError
	if !errors.As(err, &p) || p.Work != "sums" || p.Value != "no such number" {
		t.Errorf("got %v", err)
	}
	if Panics() != before+1 {
		t.Error("the panic was not counted")
	}
	if log := text.String(); !strings.Contains(log, "TestTryReturnsAPanicAsAnError") {
		t.Errorf("the log has no stack: %s", log)
	}
	broken := errors.New("broken")
	if err := Try(slog.Default(), "sums", func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := <-Start(slog.New(slog.DiscardHandler), "sums", func() error { panic(1) }); !errors.As(err, &p) {
		t.Errorf("Start: got %v", err)
	}
}

func TestRunBeginsAgainAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun []time.Duration
		start := time.Now()
		group := &Group{Log: slog.New(slog.DiscardHandler)}
		group.Keep(t.Context(), "sums", func(context.Context) {
			begun = append(begun, time.Since(start))
			if len(begun) < 4 {
				panic("again")
			}
		})
		group.Start("other work", func() { panic("once") })
		group.Wait()
		if len(begun) != 4 || begun[3] != 7*pauseMin {
			t.Errorf("begun at %v", begun)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		Run(ctx, slog.New(slog.DiscardHandler), "sums", func(context.Context) { panic("for ever") })
		if ctx.Err() == nil {
			t.Error("Run gave up before its context ended")
		}
	})
}
