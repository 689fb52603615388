// SPDX-License-Identifier: Apache-2.0

package quick

import "syscall"

// getSocketNetns is SIOCGSKNS of linux/sockios.h: it opens the network namespace of a socket.
const getSocketNetns = 0x894c

// inOwnNetns reports whether the shim is asked to work in its own network namespace: that is the host's then (SHIM-15).
// It says yes where a signal kept one of them from being looked at.
func (e *env) inOwnNetns() bool {
	var its, own syscall.Stat_t
	if e.netns == "" {
		return false
	}
	itsErr, ownErr := syscall.Stat(e.netns, &its), statOwnNetns(&own)
	return isInterrupt(itsErr) || isInterrupt(ownErr) ||
		itsErr == nil && ownErr == nil && its.Dev == own.Dev && its.Ino == own.Ino
}

// statOwnNetns looks at the network namespace that the process is in.
func statOwnNetns(st *syscall.Stat_t) error {
	if statSocketNetns(st) {
		return nil
	}
	return syscall.Stat("/proc/thread-self/ns/net", st)
}

// statSocketNetns looks at the network namespace of a socket. A socket tells it to whoever may administer the namespace.
// /proc is slower: a new process's folder there has yet to be made.
func statSocketNetns(st *syscall.Stat_t) bool {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	netns, _, failed := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), getSocketNetns, 0)
	_ = syscall.Close(fd)
	if failed != 0 {
		return false
	}
	err = syscall.Fstat(int(netns), st)
	_ = syscall.Close(int(netns))
	return err == nil
}
