// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"io"
	"net"
	"sync"
)

// forwarder passes TCP connections on to a server, and can take that server
// away: by refusing and cutting connections, as a server that ended does, or
// by holding everything back, as a network that lost it does.
type forwarder struct {
	dial func(ctx context.Context) (net.Conn, error)

	mu       sync.Mutex
	Address  string
	listener net.Listener
	conns    map[net.Conn]bool
	// held is closed when nothing is held back.
	held chan struct{}
	// ctx ends what is under way at the end.
	ctx    context.Context
	cancel context.CancelFunc
}

// forward listens on a port of the loopback interface and passes what comes on
// to what dial reaches.
func forward(dial func(ctx context.Context) (net.Conn, error)) (*forwarder, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &forwarder{dial: dial, Address: "127.0.0.1:0", conns: map[net.Conn]bool{}, held: make(chan struct{}), ctx: ctx, cancel: cancel}
	close(f.held)
	return f, f.restore()
}

// restore ends refuse and hold.
func (f *forwarder) restore() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.held:
	default:
		close(f.held)
	}
	if f.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", f.Address) //nolint:noctx // refuse and close end it
	if err != nil {
		return err
	}
	// The port stays the same: clients know it.
	f.listener, f.Address = l, l.Addr().String()
	go f.accept(l)
	return nil
}

func (f *forwarder) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		go f.serve(client)
	}
}

// serve passes one connection on until one side or the forwarder ends it.
func (f *forwarder) serve(client net.Conn) {
	defer client.Close()
	if !f.track(client) || !f.pass() {
		return
	}
	defer f.untrack(client)
	server, err := f.dial(f.ctx)
	if err != nil {
		return
	}
	defer server.Close()
	if !f.track(server) {
		return
	}
	defer f.untrack(server)
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			f.copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}

// copy passes what one side sends to the other, unless it is held back.
func (f *forwarder) copy(to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !f.pass() {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits while things are held back; false when all is over.
func (f *forwarder) pass() bool {
	f.mu.Lock()
	held := f.held
	f.mu.Unlock()
	select {
	case <-held:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// track remembers a connection to cut; false when none may be open.
func (f *forwarder) track(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener == nil {
		return false
	}
	f.conns[c] = true
	return true
}

func (f *forwarder) untrack(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// refuse has connections refused, and cuts those that there are.
func (f *forwarder) refuse() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		_ = f.listener.Close()
		f.listener = nil
	}
	for c := range f.conns {
		_ = c.Close()
	}
}

// hold has connections accepted and nothing passed on.
func (f *forwarder) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.held:
		f.held = make(chan struct{})
	default:
	}
}

func (f *forwarder) close() {
	f.cancel()
	f.refuse()
}
