// SPDX-License-Identifier: Apache-2.0

package hollow

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// wire passes the nodes' connections on to the API server and counts their bytes.
// What is passed on is not looked into: TLS goes from the node to the server.
type wire struct {
	sent, received, connections atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]bool
}

// forward listens for a node's connections, and returns the address.
func (w *wire) forward(ctx context.Context, server string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with ctx
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return // closed
			}
			w.connections.Add(1)
			go w.pass(ctx, from, server)
		}
	}()
	return l.Addr().String(), nil
}

// pass passes a connection on until either end closes it.
func (w *wire) pass(ctx context.Context, from net.Conn, server string) {
	defer from.Close()
	var d net.Dialer
	to, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return // the node sees that its connection ends
	}
	defer to.Close()
	stop := context.AfterFunc(ctx, func() { _ = from.Close(); _ = to.Close() })
	defer stop()
	defer w.keep(from)()
	done := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(counted{to, &w.sent}, from); done <- struct{}{} }()
	go func() { _, _ = io.Copy(counted{from, &w.received}, to); done <- struct{}{} }()
	<-done
}

// keep remembers a connection until forget is called.
func (w *wire) keep(c net.Conn) (forget func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open = map[net.Conn]bool{}
	}
	w.open[c] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, c)
	}
}

// breakAll closes all connections that are open.
func (w *wire) breakAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		_ = c.Close()
	}
}

func (w *wire) traffic() Traffic {
	return Traffic{Sent: w.sent.Load(), Received: w.received.Load(), Connections: w.connections.Load()}
}

// counted counts what is written.
type counted struct {
	io.Writer
	count *atomic.Int64
}

// Write implements io.Writer.
func (c counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.count.Add(int64(n))
	return n, err
}
