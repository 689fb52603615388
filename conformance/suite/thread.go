// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnOwnThread runs f on a thread that ends with it, so that f may leave the
// thread in another namespace or with other credentials. The main thread is
// passed over: the runtime parks it instead of ending it, which would keep a
// sandbox's namespace alive and show it as the process's own in /proc/self.
func OnOwnThread(f func() error) error {
	out := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			out <- OnOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
		out <- f()
	}()
	return <-out
}
