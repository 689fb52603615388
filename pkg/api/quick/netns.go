// SPDX-License-Identifier: Apache-2.0

package quick

import "syscall"

// getSocketNetns is SIOCGSKNS of linux/sockios.h: it opens the network namespace of a socket.
const getSocketNetns = 0x894c

// inOwnNetns reports whether the shim is asked to work in its own network namespace: that is the host's then (SHIM-15).
// It may be where a signal kept one of them from being looked at.
func (e *env) inOwnNetns() bool {
	var its, own syscall.Stat_t
	if e.netns == "" {
		return false
	}
	itsErr, ownErr := syscall.Stat(e.netns, &its), statOwnNetns(&own)
	return isInterrupt(itsErr) || isInterrupt(ownErr) ||
		itsErr == nil && ownErr == nil && its.Dev == own.Dev && its.Ino == own.Ino
}

// statOwnNetns looks at the network namespace that the process is in. A new process's folder in /proc has yet to be made,
// and is taken away when it ends: a socket knows the namespace too, and tells whoever may administer it.
func statOwnNetns(st *syscall.Stat_t) error {
	if fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err == nil {
		netns, _, failed := syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), getSocketNetns, 0)
		_ = syscall.Close(fd)
		if failed == 0 {
			err := syscall.Fstat(int(netns), st)
			_ = syscall.Close(int(netns))
			return err
		}
	}
	return syscall.Stat("/proc/thread-self/ns/net", st)
}
