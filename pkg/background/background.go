// SPDX-License-Identifier: Apache-2.0

// Package background starts the goroutines of the daemon. A panic on any
// goroutine ends a Go program, and with it everything that a node's pods wait
// for, so no other package has a go statement (TestGoStatements): work that
// panics fails as if it had returned an error, leaves its stack in the log and
// is counted (SEC-08).
package background

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pauseMin and pauseMax bound the pause before work that panicked begins
	// again; it doubles each time.
	pauseMin = 100 * time.Millisecond
	pauseMax = time.Minute
	// settledAfter is how long work must run for its next panic to count as the
	// first.
	settledAfter = 10 * time.Minute
)

var panics atomic.Int64

// Panics returns how many panics have been recovered.
func Panics() int64 { return panics.Load() }

// PanicError is what is left of a panic.
type PanicError struct {
	// Work is what panicked.
	Work string
	// Value is what it panicked with.
	Value any
}

// Error names the work and the value.
func (p *PanicError) Error() string {
	return fmt.Sprintf("internal error: %s panicked: %v; the daemon's log has the stack", p.Work, p.Value)
}

// Recovered logs and counts a panic. Call it with what recover returned, on the
// goroutine and in the deferred function that recovered. A nil log is
// slog.Default(), here and in the package's other functions.
func Recovered(log *slog.Logger, work string, value any) error {
	panics.Add(1)
	if log == nil {
		log = slog.Default()
	}
	log.Error("panic", "work", work, "panic", value, "stack", string(debug.Stack()))
	return &PanicError{Work: work, Value: value}
}

// Try calls f on the caller's goroutine and returns a panic as an error.
func Try(log *slog.Logger, work string, f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = Recovered(log, work, value)
		}
	}()
	return f()
}

// Start calls f on a goroutine of its own. What f returns, or the error of its
// panic, comes on the channel, which nobody has to read.
func Start(log *slog.Logger, work string, f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- Try(log, work, f) }()
	return done
}

// Run calls f until it returns. After a panic it calls f again, with growing
// pauses, unless ctx has ended.
func Run(ctx context.Context, log *slog.Logger, work string, f func(context.Context)) {
	pause := pauseMin
	for {
		begun := time.Now()
		err := Try(log, work, func() error { f(ctx); return nil })
		if err == nil {
			return
		}
		if time.Since(begun) > settledAfter {
			pause = pauseMin
		}
		next := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case <-next.C:
		}
		pause = min(2*pause, pauseMax)
	}
}

// Group is work that is waited for together. The zero value is ready for use.
type Group struct {
	Log *slog.Logger
	all sync.WaitGroup
}

// Start calls f on a goroutine. After a panic it does not begin again.
func (g *Group) Start(work string, f func()) {
	g.all.Go(func() { _ = Try(g.Log, work, func() error { f(); return nil }) })
}

// Keep has Run call f on a goroutine.
func (g *Group) Keep(ctx context.Context, work string, f func(context.Context)) {
	g.all.Go(func() { Run(ctx, g.Log, work, f) })
}

// Wait returns when all of the work has ended.
func (g *Group) Wait() { g.all.Wait() }
