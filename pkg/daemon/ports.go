// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// mostConnections is how many connections a port has at once. A connection
	// costs memory, of which a process without any rights must not take more; a
	// new one takes the place of the oldest.
	mostConnections = 64
	// portTimeout bounds a request on a port, from its first byte to the last of
	// its answer.
	portTimeout = 10 * time.Second
	// profileTimeout is the same where profiles are taken, which last as long as
	// they are asked to.
	profileTimeout = 2 * time.Minute
	// idleTimeout is how long a connection may stay open between two requests.
	idleTimeout = 30 * time.Second
	// mostHeader is the largest header of a request, in bytes.
	mostHeader = 8 << 10
)

// servePort serves a TCP port until ctx ends: within bounds, because any process
// of the node may connect (SEC-14).
func (d *Daemon) servePort(ctx context.Context, address string, handler http.Handler, answerWithin time.Duration) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: portTimeout, WriteTimeout: answerWithin,
		IdleTimeout: idleTimeout, MaxHeaderBytes: mostHeader,
		ErrorLog:    slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	return server.Serve(&boundedListener{Listener: l})
}

// oneProfile lets one request at a time through to handlers that share it, and
// answers 503 to the others. A profile costs processor time that any process of
// the node may ask for, 500 at once seen to keep the metrics from being answered
// (SEC-14).
type oneProfile struct{ taken chan struct{} }

func newOneProfile() *oneProfile { return &oneProfile{make(chan struct{}, 1)} }

func (o *oneProfile) handle(next http.HandlerFunc) http.Handler {
	prompt := readPromptly(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case o.taken <- struct{}{}:
			defer func() { <-o.taken }()
			prompt.ServeHTTP(w, r)
		default:
			http.Error(w, "another profile is being taken; try again when it is done", http.StatusServiceUnavailable)
		}
	})
}

// readPromptly ends an answer whose client reads nothing for portTimeout, however
// long the answer may take as a whole: the runtime keeps what it has traced in
// memory until somebody takes it.
func readPromptly(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next(&promptWriter{w, http.NewResponseController(w)}, r)
	})
}

type promptWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write implements io.Writer.
func (w *promptWriter) Write(data []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(portTimeout)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(data)
}

// boundedListener closes its oldest connection when there are too many.
type boundedListener struct {
	net.Listener
	mu   sync.Mutex
	open []*boundedConn
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= mostConnections {
		oldest := l.open[0]
		l.open = l.open[1:]
		_ = oldest.Conn.Close()
	}
	bounded := &boundedConn{Conn: conn, of: l}
	l.open = append(l.open, bounded)
	return bounded, nil
}

type boundedConn struct {
	net.Conn
	of *boundedListener
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	c.of.mu.Lock()
	for i, other := range c.of.open {
		if other == c {
			c.of.open = append(c.of.open[:i], c.of.open[i+1:]...)
			break
		}
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}
