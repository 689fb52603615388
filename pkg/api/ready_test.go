// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestCheckAPIReadyNow(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*testing.T, string)
		cause   error // nil: any
		ready   bool
	}{
		"ready":         {func(t *testing.T, dir string) { serve(t, dir, func(http.ResponseWriter, *http.Request) {}) }, nil, true},
		"no socket":     {func(*testing.T, string) {}, syscall.ENOENT, false},
		"refused":       {stale, syscall.ECONNREFUSED, false},
		"never answers": {func(t *testing.T, dir string) { silent(t, dir) }, context.DeadlineExceeded, false},
		"unhealthy": {func(t *testing.T, dir string) {
			serve(t, dir, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := rundir(t)
			test.prepare(t, dir)
			start := time.Now()
			err := CheckAPIReadyNow(dir)
			if took := time.Since(start); took >= busy { // READY-01 judges its second
				t.Errorf("took %s", took)
			}
			if test.ready {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), SocketPath(dir)) {
				t.Fatalf("%v does not name the socket", err)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%v does not wrap %v", err, test.cause)
			}
		})
	}
}

// busy is what a machine may add that does other work beside a test.
const busy = 5 * time.Second

func TestWaitUntilAPIReadyAsksAtOnce(t *testing.T) {
	dir := rundir(t)
	s := serve(t, dir, func(http.ResponseWriter, *http.Request) {})
	if err := WaitUntilAPIReady(dir); err != nil {
		t.Fatal(err)
	}
	if got := s.requests(); len(got) == 0 || got[0] != "POST /readyz null" {
		t.Errorf("the daemon saw %q", got)
	}
}

func TestWaitUntilAPIReadyFollowsTheDaemon(t *testing.T) {
	dir := rundir(t)
	var ready atomic.Bool
	asked := make(chan struct{}, 1000)
	serve(t, dir, func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		asked <- struct{}{}
	})
	done := make(chan error, 1)
	go func() { done <- WaitUntilAPIReady(dir) }()
	for range 3 {
		<-asked
	}
	select {
	case err := <-done:
		t.Fatalf("returned %v before the daemon was ready", err)
	default:
	}
	start := time.Now()
	ready.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > busy {
		t.Errorf("took %s after the daemon was ready", took)
	}
}

// A socket that hangs, is removed and made again by the next daemon must not delay the answer (READY-02, READY-04).
func TestWaitUntilAPIReadySurvivesANewSocket(t *testing.T) {
	dir := rundir(t)
	old := silent(t, dir)
	done := make(chan error, 1)
	go func() { done <- WaitUntilAPIReady(dir) }()
	if err := old.Close(); err != nil { // the listener removes its socket
		t.Fatal(err)
	}
	stale(t, dir)
	if err := syscall.Unlink(SocketPath(dir)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	serve(t, dir, func(http.ResponseWriter, *http.Request) {})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > busy {
		t.Errorf("took %s after the new daemon listened", took)
	}
}

func TestWaitUntilAPIReadyWithoutReadyz(t *testing.T) {
	dir := rundir(t)
	s := serve(t, dir, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != MultusHealthAPIEndpoint {
			http.NotFound(w, r)
		}
	})
	if err := WaitUntilAPIReady(dir); err != nil {
		t.Fatal(err)
	}
	if got := s.requests(); len(got) < 2 || got[1] != "POST /healthz null" {
		t.Errorf("the daemon saw %q", got)
	}
}

func TestWaitReadyGivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*testing.T, string)
		text    string
	}{
		"no socket": {func(*testing.T, string) {}, "no such file"},
		"silent":    {func(t *testing.T, dir string) { silent(t, dir) }, "has not answered"},
		"not ready": {func(t *testing.T, dir string) {
			serve(t, dir, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
		}, "503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := rundir(t)
			test.prepare(t, dir)
			const limit = 350 * time.Millisecond
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			err := waitReady(ctx, SocketPath(dir))
			if took := time.Since(start); took < limit || took > limit+busy {
				t.Errorf("took %s, want %s", took, limit)
			}
			if err == nil || !strings.Contains(err.Error(), SocketPath(dir)) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want the socket and %q", err, test.text)
			}
		})
	}
}
