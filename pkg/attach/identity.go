// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/containernetworking/plugins/pkg/ns"
	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/background"
	"github.com/thicket-cni/thicket/pkg/ledger"
)

// errForeignNetns marks a path that leads to another namespace than the
// sandbox's: a process id or a name that was used again, or the host's own.
var errForeignNetns = errors.New("foreign network namespace")

// ownNamespaces are the inodes of the namespaces that belong to no sandbox: the
// daemon's, and that of the first process it sees, which is the host's where the
// daemon shares the host's processes.
func ownNamespaces() []uint64 {
	var own []uint64
	for _, path := range []string{"/proc/thread-self/ns/net", "/proc/1/ns/net"} {
		if n := inode(path); n != 0 {
			own = append(own, n)
		}
	}
	return own
}

// identify records which namespace a sandbox has, and where it was seen.
func identify(rec *ledger.Record, space ns.NetNS) {
	rec.NetnsInode = inodeOf(space)
	rec.NetnsCookie = cookieOf(space)
	_, rec.NetnsDir = directoryOf(rec.Netns)
}

// inodeOf returns the number of a namespace that is open. It is used again when
// the namespace is gone.
func inodeOf(space ns.NetNS) uint64 {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(space.Fd()), &st); err != nil {
		return 0
	}
	return st.Ino
}

// cookieOf returns the number that the kernel gives to no other namespace of
// the same boot (SO_NETNS_COOKIE), 0 where it has none (before Linux 5.14).
func cookieOf(space ns.NetNS) uint64 {
	if idIsCookie(space) {
		return idOf(space)
	}
	return socketCookie(space)
}

// hasCookie reports whether a namespace has a cookie that was recorded, 0 where none
// was. A namespace is not taken for another one before a socket in it says so.
func hasCookie(space ns.NetNS, recorded uint64) bool {
	return recorded == 0 || cookieOf(space) == recorded || socketCookie(space) == recorded
}

var (
	compareIDs sync.Once
	idsEqual   bool
)

// idIsCookie reports whether a namespace's id is its cookie. The kernel does not
// promise it, so the first namespace that is looked at shows it. Where it is so
// (Linux 6.18), every ADD and DEL is spared the visit to the namespace.
func idIsCookie(space ns.NetNS) bool {
	compareIDs.Do(func() {
		id := idOf(space)
		idsEqual = id != 0 && id == socketCookie(space)
	})
	return idsEqual
}

// idOf returns the number that the kernel gives to no other namespace of any
// kind (NS_GET_ID), 0 where it has none.
func idOf(space ns.NetNS) uint64 {
	if math.MaxInt == math.MaxInt32 {
		return 0 // the kernel would write more than IoctlGetInt makes room for
	}
	id, err := unix.IoctlGetInt(int(space.Fd()), unix.NS_GET_ID)
	if err != nil {
		return 0
	}
	return uint64(id) //nolint:gosec // the same 64 bits
}

// socketCookie asks a socket in a namespace for the namespace's cookie.
func socketCookie(space ns.NetNS) (cookie uint64) {
	fd := -1
	entered := background.Start(nil, "entering a namespace", func() (err error) {
		fd, err = socketIn(int(space.Fd()))
		return err
	})
	if <-entered != nil {
		return 0
	}
	defer closeAll(fd)
	cookie, _ = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return cookie
}

// socketIn opens a socket that belongs to a namespace, in a third of the system
// calls that ns.NetNS.Do takes: every ADD and DEL waits for it where a namespace's
// id is not its cookie. Its goroutine must do nothing else: a thread that cannot
// return stays locked to it, and ends with it.
func socketIn(space int) (int, error) {
	runtime.LockOSThread()
	own, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return -1, err
	}
	defer closeAll(own)
	if err := unix.Setns(space, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if back := unix.Setns(own, unix.CLONE_NEWNET); back != nil {
		closeAll(fd)
		return -1, back
	}
	runtime.UnlockOSThread()
	return fd, err
}

// directoryOf returns where a namespace's path would be looked for, and what
// tells that directory from others of the same path: a container that lacks the
// mount has another one there. It is "" when there is no such directory. Below
// /proc the processes are what is seen: their namespace stands for it.
func directoryOf(path string) (dir, identity string) {
	var st syscall.Stat_t
	if rest, found := strings.CutPrefix(filepath.Clean(path), "/proc/"); found && strings.Contains(rest, "/") {
		if err := syscall.Stat("/proc/1/ns/pid", &st); err != nil {
			return "/proc", ""
		}
		return "/proc", fmt.Sprintf("pid:%d", st.Ino)
	}
	dir = filepath.Dir(path)
	if err := syscall.Stat(dir, &st); err != nil {
		return dir, ""
	}
	return dir, fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// openOwn opens the namespace at a path as the one of a recorded sandbox. Its
// error is openNetns', or wraps errForeignNetns when another namespace is there
// (DEL-11). What was not recorded is not compared.
func (e *Engine) openOwn(rec *ledger.Record, path string) (ns.NetNS, error) {
	space, err := openNetns(path)
	if err != nil {
		return nil, err
	}
	now := inodeOf(space)
	what := ""
	switch {
	case slices.Contains(e.own, now):
		what = "is the host's own network namespace"
	case rec.NetnsInode != 0 && now != rec.NetnsInode, !hasCookie(space, rec.NetnsCookie):
		what = "leads to another network namespace than at the sandbox's ADD"
	}
	if what != "" {
		return nil, errors.Join(netnsError{invalidNetns(path, what), errForeignNetns}, space.Close())
	}
	return space, nil
}

// findOwn reports whether a sandbox's namespace is at a path; its error is
// openOwn's.
func (e *Engine) findOwn(rec *ledger.Record, path string) error {
	space, err := e.openOwn(rec, path)
	if err == nil {
		err = space.Close()
	}
	return err
}

// netnsForDel returns the CNI_NETNS that delegates get at DEL: the path that is
// asked for, or none where it leads nowhere, which the CNI spec (section 2, DEL)
// allows and plugins handle better than a path that leads nowhere (DEL-03), or
// to a namespace that is not the sandbox's, in which nothing may be touched
// (DEL-11). A path that cannot be looked at is an error: whatever is there may
// be the sandbox's.
func (e *Engine) netnsForDel(rec *ledger.Record, path string) (string, error) {
	if path == "" || e.rebooted(rec) {
		return "", nil
	}
	err := e.findOwn(rec, path)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, errForeignNetns):
		e.log.Warn("the delegates get no namespace", "sandbox", rec.ContainerID, "reason", err)
		return "", nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotNetns):
		return "", nil
	}
	return "", cniError(err, "CNI_NETNS")
}
