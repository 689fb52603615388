// SPDX-License-Identifier: Apache-2.0

package api

import (
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
)

// rundir makes a run directory whose path is short enough for a unix socket, whatever the test is called.
func rundir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "thicket-api-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// stub is a daemon made of one handler; it counts what it was asked.
type stub struct {
	server *http.Server
	mu     sync.Mutex
	seen   []string // "METHOD PATH BODY" in order
}

// serve starts a stub on the run directory's socket.
func serve(t *testing.T, dir string, handler http.HandlerFunc) *stub {
	t.Helper()
	listener, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	s := &stub{}
	s.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path+" "+string(body))
		s.mu.Unlock()
		handler(w, r)
	})}
	go func() { _ = s.server.Serve(listener) }()
	t.Cleanup(s.close)
	return s
}

func (s *stub) close() { _ = s.server.Close() }

func (s *stub) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// silent listens on the run directory's socket, accepts and never answers.
func silent(t *testing.T, dir string) net.Listener {
	t.Helper()
	listener, err := net.Listen("unix", SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return listener
}

// stale leaves a socket that nobody listens on, as a killed daemon does.
func stale(t *testing.T, dir string) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: SocketPath(dir), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}
