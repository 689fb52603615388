// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestPortsBearManyConnections keeps more connections open than a port has, and
// asks once more.
func TestPortsBearManyConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	d := &Daemon{log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	go func() { ended <- d.servePort(ctx, address, handler, portTimeout) }()
	var first net.Conn
	for i := range 4 * mostConnections {
		conn, err := dialWhenServed(t, address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i == 0 {
			first = conn
		}
	}
	client := &http.Client{Timeout: 5 * time.Second}
	response, err := client.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "here" {
		t.Errorf("answered %q, %v", body, err)
	}
	_ = response.Body.Close()
	_ = first.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the oldest connection is still open")
	} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // the connection's own
		t.Error("the oldest connection is still open")
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("serving ends without saying why")
	}
}

// dialWhenServed connects, the first time as soon as the port is open.
func dialWhenServed(t *testing.T, address string) (net.Conn, error) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil || time.Now().After(deadline) {
			return conn, err
		}
		time.Sleep(time.Millisecond)
	}
}

// TestOneProfileAtATime asks for a profile while another one is being taken.
func TestOneProfileAtATime(t *testing.T) {
	profiles := newOneProfile()
	begun, end := make(chan struct{}), make(chan struct{})
	long := profiles.handle(func(http.ResponseWriter, *http.Request) { close(begun); <-end })
	short := profiles.handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "profile") })
	ask := func() int {
		w := httptest.NewRecorder()
		short.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/heap", http.NoBody))
		return w.Code
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		long.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/debug/pprof/profile", http.NoBody))
	}()
	<-begun
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("beside another profile: status %d, not 503", code)
	}
	close(end)
	<-done
	if code := ask(); code != http.StatusOK {
		t.Errorf("after it: status %d, not 200", code)
	}
}
