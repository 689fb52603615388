// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/fakes/mutants/mutant"
	"github.com/thicket-cni/thicket/fakes/mutants/seam"
	"github.com/thicket-cni/thicket/pkg/api"
)

// The profile socket: who is at the other end, and how many are.
var peerMutants = []mutant.Mutant{
	{Name: "peer-unchecked", Cases: []string{"SOCK-09"}, Daemon: peerUnchecked(func(*unix.Ucred) bool { return true }),
		Fault: "whoever can open the socket is served"},
	{Name: "peer-by-group", Cases: []string{"SOCK-09"}, Daemon: peerUnchecked(func(c *unix.Ucred) bool { return c.Gid == 0 }),
		Fault: "a peer in root's group is served"},
	{Name: "peer-checked-late", Cases: []string{"SOCK-09"}, Daemon: peerCheckedLate,
		Fault: "a foreign peer's request is carried out before it is refused"},
	{Name: "peer-unchecked-health", Cases: []string{"SOCK-09"}, Daemon: peerUncheckedAtHealth,
		Fault: "the probes are answered to anybody"},
	{Name: "connections-limited", Cases: []string{"SOCK-12"}, Daemon: connectionsLimited,
		Fault: "no more than 100 connections are accepted, however idle they are"},
	{Name: "connections-served-in-turn", Cases: []string{"SOCK-12"}, Daemon: connectionsInTurn,
		Fault: "a connection is accepted when the one before has sent its first byte"},
}

// peerListener hands out connections that the daemon asks the wrong end of.
type peerListener struct {
	net.Listener
	trusted func(*unix.Ucred) bool
}

// Accept implements net.Listener.
func (l *peerListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	cred, err := credentials(c)
	// Who cannot be asked is not trusted: the daemon refuses it by itself.
	return &peerConn{UnixConn: c.(*net.UnixConn), cred: cred, lies: err == nil && l.trusted(cred)}, nil
}

// peerConn shows the daemon another socket of its own when it asks who is at
// the other end, and the truth as the remote address.
type peerConn struct {
	*net.UnixConn
	cred *unix.Ucred
	lies bool
}

// SyscallConn implements syscall.Conn.
func (c *peerConn) SyscallConn() (syscall.RawConn, error) {
	if c.lies {
		return ownConn()
	}
	return c.UnixConn.SyscallConn()
}

// RemoteAddr implements net.Conn.
func (c *peerConn) RemoteAddr() net.Addr {
	if c.cred == nil {
		return c.UnixConn.RemoteAddr()
	}
	return &net.UnixAddr{Name: fmt.Sprintf("uid %d", c.cred.Uid), Net: "unix"}
}

// ownConn is a socket with this process at both ends.
var ownConn = sync.OnceValues(func() (syscall.RawConn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return ownRaw(fds[0]), nil
})

type ownRaw int

// Control implements syscall.RawConn.
func (r ownRaw) Control(f func(fd uintptr)) error { f(uintptr(r)); return nil }

func (r ownRaw) Read(func(fd uintptr) bool) error { return nil }

func (r ownRaw) Write(func(fd uintptr) bool) error { return nil }

func credentials(c net.Conn) (*unix.Ucred, error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		return nil, err
	}
	return cred, credErr
}

func peerUnchecked(trusted func(*unix.Ucred) bool) func(*seam.Assembly) {
	return func(a *seam.Assembly) {
		a.WrapListener(func(l net.Listener) net.Listener { return &peerListener{l, trusted} })
	}
}

func peerCheckedLate(a *seam.Assembly) {
	peerUnchecked(func(*unix.Ucred) bool { return true })(a)
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.RemoteAddr == "uid 0" {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		http.Error(w, `{"code": 999, "msg": "only root may use this socket"}`, http.StatusForbidden)
	})
}

func peerUncheckedAtHealth(a *seam.Assembly) {
	a.OnRequest(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == api.MultusHealthAPIEndpoint && r.Method == http.MethodGet {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// limitedListener accepts while fewer than a number of connections are open.
type limitedListener struct {
	net.Listener
	slots chan struct{}
}

type limitedConn struct {
	*net.UnixConn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.UnixConn.Close()
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{c.(*net.UnixConn), sync.OnceFunc(func() { <-l.slots })}, nil
}

func connectionsLimited(a *seam.Assembly) {
	a.WrapListener(func(l net.Listener) net.Listener {
		return &limitedListener{l, make(chan struct{}, 100)}
	})
}

// patientListener waits for a connection's first byte before it accepts the
// next one.
type patientListener struct{ net.Listener }

// Accept implements net.Listener.
func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	// Read waits until the function is content, without taking the byte.
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
	return c, err
}

func connectionsInTurn(a *seam.Assembly) {
	a.WrapListener(func(l net.Listener) net.Listener { return patientListener{l} })
}
