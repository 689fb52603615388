// SPDX-License-Identifier: Apache-2.0

package delegate

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"
)

// resetAndRaise ends the process by a signal that the Go runtime handles
// itself: its handler is replaced by the kernel's default first.
func resetAndRaise(sig syscall.Signal) error {
	signal.Reset(sig)
	var action [4]uint64 // a zeroed struct sigaction: SIG_DFL, no flags, no mask
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	// SIGKILL has no handler to replace.
	if errno != 0 && sig != syscall.SIGKILL {
		return errno
	}
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		return err
	}
	forever()
	return nil
}
