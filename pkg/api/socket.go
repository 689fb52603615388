// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// socketConn is a connection to the daemon's socket, by system calls that block. A shim makes one connection in its
// life: the poller of package net, which it would start for it, costs more than the request.
type socketConn struct {
	fd int
	// release ends what ends the connection with its context, and returns when that is over.
	release func()
}

// dialSocket connects to a unix socket. When ctx ends, whoever reads or writes gets an error.
func dialSocket(ctx context.Context, path string) (*socketConn, error) {
	// Connecting does not wait: a listener whose backlog is full is as good as none (EAGAIN).
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = retry(func() error { return syscall.Connect(fd, &syscall.SockaddrUnix{Name: path}) })
	if err == nil {
		err = syscall.SetNonblock(fd, false)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
	})
	return &socketConn{fd: fd, release: func() {
		if !stop() {
			<-ended // the number may be another file's as soon as it is closed
		}
	}}, nil
}

// Read implements io.Reader.
func (c *socketConn) Read(p []byte) (n int, err error) {
	err = retry(func() error { n, err = syscall.Read(c.fd, p); return err })
	switch {
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements io.Writer.
func (c *socketConn) Write(p []byte) (written int, err error) {
	for written < len(p) {
		var n int
		err := retry(func() error { n, err = syscall.Write(c.fd, p[written:]); return err })
		if err != nil {
			return written, os.NewSyscallError("write", err)
		}
		written += n
	}
	return written, nil
}

// Close ends the connection.
func (c *socketConn) Close() error {
	c.release()
	return os.NewSyscallError("close", syscall.Close(c.fd))
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
