// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// identity tells a namespace from all others, also from those of another boot.
type identity struct {
	Boot   string `json:"boot"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// identify looks at a namespace's path; the zero identity means that there is no
// namespace.
func identify(path string) identity {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if path == "" || unix.Stat(path, &st) != nil || unix.Statfs(path, &fs) != nil || fs.Type != unix.NSFS_MAGIC {
		return identity{}
	}
	return identity{Boot: boot(), Device: st.Dev, Inode: st.Ino}
}

// boot is the id of this boot.
func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // "" compares, too
	return strings.TrimSpace(string(id))
}

// inside calls f on a thread that is in the namespace; the thread ends with it.
func inside(path string, f func() error) error {
	done := make(chan error)
	go func() {
		goruntime.LockOSThread()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err != nil {
			done <- fmt.Errorf("enter %s: %w", path, err)
			return
		}
		done <- f()
	}()
	return <-done
}
