// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// echoing is a forwarder in front of a server that sends back what it gets.
func echoing(t *testing.T) *forwarder {
	t.Helper()
	g := NewWithT(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	f, err := forward(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(f.close)
	return f
}

// echo sends a word and waits for it.
func echo(c net.Conn, patience time.Duration) error {
	if _, err := c.Write([]byte("word")); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

func TestForwarderRefuses(t *testing.T) {
	g := NewWithT(t)
	f := echoing(t)
	c, err := net.Dial("tcp", f.Address)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(echo(c, 5*time.Second)).To(Succeed())
	f.refuse()
	g.Expect(echo(c, 5*time.Second)).NotTo(Succeed(), "an open connection is cut")
	_, err = net.Dial("tcp", f.Address)
	g.Expect(err).To(HaveOccurred(), "a new connection is refused")
	g.Expect(f.restore()).To(Succeed())
	c, err = net.Dial("tcp", f.Address)
	g.Expect(err).NotTo(HaveOccurred(), "the port is the same")
	g.Expect(echo(c, 5*time.Second)).To(Succeed())
	g.Expect(f.conns).NotTo(BeEmpty())
}

func TestForwarderHolds(t *testing.T) {
	g := NewWithT(t)
	f := echoing(t)
	old, err := net.Dial("tcp", f.Address)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(echo(old, 5*time.Second)).To(Succeed())
	f.hold()
	fresh, err := net.Dial("tcp", f.Address)
	g.Expect(err).NotTo(HaveOccurred(), "a connection is accepted")
	for _, c := range []net.Conn{old, fresh} {
		g.Expect(echo(c, 100*time.Millisecond)).NotTo(Succeed(), "nothing is passed on")
	}
	g.Expect(f.restore()).To(Succeed())
	for _, c := range []net.Conn{old, fresh} {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err := io.ReadFull(c, make([]byte, 4))
		g.Expect(err).NotTo(HaveOccurred(), "what was held back arrives")
	}
}
