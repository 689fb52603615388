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
	looks := func(t *testing.T, socket bool) {
		t.Helper()
		var got, own syscall.Stat_t
		if told := quick.StatSocketNetns(&got); told != socket || told && (got.Dev != want.Dev || got.Ino != want.Ino) {
			t.Errorf("a socket tells: %v, %d:%d, want %d:%d", told, got.Dev, got.Ino, want.Dev, want.Ino)
		}
		if err := quick.StatOwnNetns(&own); err != nil || own.Dev != want.Dev || own.Ino != want.Ino {
			t.Errorf("got %d:%d, want %d:%d, %v", own.Dev, own.Ino, want.Dev, want.Ino, err)
		}
	}
	const often = 50
	before := descriptors(t)
	for range often {
		looks(t, true)
	}
	if after := descriptors(t); after >= before+often {
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
			looks(t, false)
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
