// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// DialAs connects to the daemon's socket as another user: the kernel shows the
// daemon that uid, although the connecting thread keeps the capability to open
// a socket that only root may open (SOCK-09).
//
// Credentials belong to threads; the one that changes its own is never used
// again and ends with its goroutine.
func (e *Env) DialAs(_ context.Context, uid int) (net.Conn, error) {
	var conn net.Conn
	err := suite.OnOwnThread(func() (err error) {
		conn, err = dialAs(e.Socket(), uid)
		return err
	})
	return conn, err
}

func dialAs(socket string, uid int) (net.Conn, error) {
	// The raw call changes this thread only; libc's and Go's change them all.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		return nil, fmt.Errorf("setresuid: %w", errno)
	}
	if err := keepAccess(); err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), socket)
	defer func() { _ = f.Close() }()
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		return nil, fmt.Errorf("connect to %s as uid %d: %w", socket, uid, err)
	}
	return net.FileConn(f)
}

// keepAccess makes the capabilities effective again that open any file; they
// stayed permitted because the saved uid is still root's.
func keepAccess() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	data[0].Effective |= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// DoAs sends a request to the daemon as another user.
func (e *Env) DoAs(ctx context.Context, uid int, method, path string, body io.Reader) (*Answer, error) {
	return roundTrip(ctx, func(ctx context.Context, _, _ string) (net.Conn, error) {
		return e.DialAs(ctx, uid)
	}, method, path, http.Header{"Content-Type": {"application/json"}}, body)
}
