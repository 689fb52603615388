// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerKey is the context key of a connection's peerIdentity.
type peerKey struct{}

// peerIdentity is who was at the other end when the connection was made; it is
// asked of the kernel once, at accept, and never of the client.
type peerIdentity struct {
	uid uint32
	err error
}

// withPeer is http.Server's ConnContext.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	cred, err := peerOf(c)
	if err != nil {
		return context.WithValue(ctx, peerKey{}, peerIdentity{err: err})
	}
	return context.WithValue(ctx, peerKey{}, peerIdentity{uid: cred.Uid})
}

// refusal says why the peer may not use the daemon, "" when it may (SOCK-09).
func refusal(ctx context.Context) string {
	p, known := ctx.Value(peerKey{}).(peerIdentity)
	switch {
	case !known:
		return "the peer's identity is unknown"
	case p.err != nil:
		return "the peer's identity is unknown: " + p.err.Error()
	case p.uid != 0:
		return fmt.Sprintf("uid %d may not use this socket; only root may", p.uid)
	}
	return ""
}

// peerOf reads SO_PEERCRED: the identity that the peer had when it connected.
func peerOf(c net.Conn) (*unix.Ucred, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("%T is not a socket", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil {
		return nil, err
	}
	return cred, credErr
}
