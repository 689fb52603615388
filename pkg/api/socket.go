// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// patience is how long a request is waited for. It is the kernel that watches the time: a context with a deadline, or a
// timer, would start the runtime's poller and threads for it, in a process that lives for a moment.
type patience struct {
	// until is when the request is given up, with context.DeadlineExceeded.
	until time.Time
	// doubtAt is when doubt is asked, once, unless it is nil; an error of it gives the request up.
	doubtAt time.Time
	doubt   func() error
	// over is why it has been given up.
	over error
}

// patient waits for so long and has no doubts.
func patient(limit time.Duration) patience { return patience{until: time.Now().Add(limit)} }

// left is how long the next system call may wait, unless the request is given up, for the reason that is returned.
func (p *patience) left() (time.Duration, error) {
	now := time.Now()
	if p.doubt != nil && !now.Before(p.doubtAt) {
		doubt := p.doubt
		p.doubt = nil
		p.over = doubt()
		now = time.Now()
	}
	left := p.until.Sub(now)
	if p.doubt != nil {
		left = min(left, p.doubtAt.Sub(now))
	}
	if p.over == nil && left <= 0 {
		p.over = context.DeadlineExceeded
	}
	return left, p.over
}

// socketConn is a connection to the daemon's socket, by system calls that block. A shim makes one connection in its
// life: the poller of package net, which it would start for it, costs more than the request.
type socketConn struct {
	fd int
	patience
	// received is what has been read of it before, and ended the error that came then, or 0.
	received []byte
	ended    syscall.Errno
}

// dialSocket connects to a unix socket. Reads and writes wait with patience.
func dialSocket(path string, p patience) (*socketConn, error) {
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
	return &socketConn{fd: fd, patience: p}, nil
}

// Read implements io.Reader.
func (c *socketConn) Read(p []byte) (int, error) {
	if len(c.received) > 0 {
		n := copy(p, c.received)
		c.received = c.received[n:]
		return n, nil
	}
	if c.ended != 0 {
		return 0, os.NewSyscallError("read", c.ended)
	}
	n, err := c.wait("read", syscall.SO_RCVTIMEO, func() (int, error) { return syscall.Read(c.fd, p) })
	if err == nil && n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (c *socketConn) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = c.wait("write", syscall.SO_SNDTIMEO, func() (int, error) { return syscall.Write(c.fd, p[written:]) })
		written += n
	}
	return written, err
}

// wait repeats a system call that the kernel ends after a time, as long as there is patience.
func (c *socketConn) wait(what string, timeout int, call func() (int, error)) (int, error) {
	for {
		left, err := c.left()
		if err != nil {
			return 0, err
		}
		limit := syscall.NsecToTimeval(max(left, time.Microsecond).Nanoseconds())
		if err := syscall.SetsockoptTimeval(c.fd, syscall.SOL_SOCKET, timeout, &limit); err != nil {
			return 0, os.NewSyscallError("setsockopt", err)
		}
		n, err := call()
		switch {
		case err == nil:
			return n, nil
		case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR):
			return 0, os.NewSyscallError(what, err)
		}
	}
}

// Close ends the connection.
func (c *socketConn) Close() error { return os.NewSyscallError("close", syscall.Close(c.fd)) }

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
