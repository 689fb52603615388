// SPDX-License-Identifier: Apache-2.0

package quick_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/api/quick"
)

// TestOwnNetns looks at the namespace with and without the capability to ask a socket for it.
func TestOwnNetns(t *testing.T) {
	var want syscall.Stat_t
	if err := syscall.Stat("/proc/thread-self/ns/net", &want); err != nil {
		t.Fatal(err)
	}
	same := func(t *testing.T) {
		t.Helper()
		var got syscall.Stat_t
		if err := quick.StatOwnNetns(&got); err != nil || got.Dev != want.Dev || got.Ino != want.Ino {
			t.Errorf("got %d:%d, want %d:%d, %v", got.Dev, got.Ino, want.Dev, want.Ino, err)
		}
	}
	before := descriptors(t)
	same(t)
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
	t.Run("without capabilities", func(t *testing.T) {
		over := make(chan struct{})
		go func() { // on a thread of its own, which ends with it
			defer close(over)
			runtime.LockOSThread()
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&header, &none[0]); err != nil {
				t.Error(err)
				return
			}
			same(t)
		}()
		<-over
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
