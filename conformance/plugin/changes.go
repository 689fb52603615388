// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// changes are the system calls after which a file or the network may be different,
// with what each is called and, where only some of its executions change anything,
// how to tell. At a system call that is missing here nothing is killed: what
// happens before and after it counts as one moment.
var changes = withOld(map[uint64]change{
	unix.SYS_OPENAT:      {"openat", 1, creates(2)},
	unix.SYS_MKDIRAT:     {"mkdirat", 1, nil},
	unix.SYS_MKNODAT:     {"mknodat", 1, nil},
	unix.SYS_LINKAT:      {"linkat", 3, nil},
	unix.SYS_SYMLINKAT:   {"symlinkat", 2, nil},
	unix.SYS_RENAMEAT2:   {"renameat2", 3, nil},
	unix.SYS_UNLINKAT:    {"unlinkat", 1, nil},
	unix.SYS_FCHMODAT:    {"fchmodat", 1, nil},
	unix.SYS_FCHOWNAT:    {"fchownat", 1, nil},
	unix.SYS_TRUNCATE:    {"truncate", 0, nil},
	unix.SYS_FTRUNCATE:   {"ftruncate", noPath, toFile},
	unix.SYS_FALLOCATE:   {"fallocate", noPath, toFile},
	unix.SYS_WRITE:       {"write", noPath, writes},
	unix.SYS_WRITEV:      {"writev", noPath, toFile},
	unix.SYS_PWRITE64:    {"pwrite64", noPath, toFile},
	unix.SYS_PWRITEV:     {"pwritev", noPath, toFile},
	unix.SYS_SENDTO:      {"sendto", noPath, sendsNetlink},
	unix.SYS_SENDMSG:     {"sendmsg", noPath, sendsNetlinkMessage},
	unix.SYS_IOCTL:       {"ioctl", noPath, changesDevice},
	unix.SYS_SETSOCKOPT:  {"setsockopt", noPath, replacesTable},
	unix.SYS_MOUNT:       {"mount", 1, nil},
	unix.SYS_UMOUNT2:     {"umount", 0, nil},
	unix.SYS_SETHOSTNAME: {"sethostname", noPath, nil},
})

// noPath is the place of the path among the arguments of a system call without one.
const noPath = -1

// change is a system call that may change something.
type change struct {
	name string
	// path is the place of the path among its arguments.
	path int
	// does reports whether this execution changes anything, and what it is about;
	// nil means that every one does.
	does func(*tracee, [6]uint64) (about string, yes bool)
}

// withOld adds the system calls that newer architectures do without.
func withOld(all map[uint64]change) map[uint64]change {
	maps.Copy(all, oldChanges)
	return all
}

// of says what an execution changes, "" when nothing.
func (c change) of(t *tracee, args [6]uint64) string {
	about := ""
	if c.path != noPath {
		about = t.text(args[c.path])
		if strings.HasPrefix(about, "/dev/") {
			return ""
		}
	}
	if c.does != nil {
		said, yes := c.does(t, args)
		if !yes {
			return ""
		}
		about += said
	}
	return strings.TrimSpace(c.name + " " + about)
}

// creates reports whether flags of open make a file, or cut one to nothing.
func creates(at int) func(*tracee, [6]uint64) (string, bool) {
	return func(_ *tracee, args [6]uint64) (string, bool) {
		return "", args[at]&(unix.O_CREAT|unix.O_TRUNC|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0
	}
}

// toFile reports whether the descriptor is a file's, and of which.
func toFile(t *tracee, args [6]uint64) (string, bool) {
	path := t.open(args[0])
	return path, strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "/dev/")
}

// writes is of write, by which netlink's messages go, too.
func writes(t *tracee, args [6]uint64) (string, bool) {
	if strings.HasPrefix(t.open(args[0]), "socket:") {
		return sendsNetlink(t, args)
	}
	return toFile(t, args)
}

func sendsNetlink(t *tracee, args [6]uint64) (string, bool) {
	return netlinkChange(t, int(args[0]), args[1])
}

func sendsNetlinkMessage(t *tracee, args [6]uint64) (string, bool) {
	// struct msghdr has its vectors third, and a vector begins with its buffer.
	vector := binary.NativeEndian.Uint64(t.memory(args[1]+16, 8))
	return netlinkChange(t, int(args[0]), binary.NativeEndian.Uint64(t.memory(vector, 8)))
}

// netlinkChange reports whether the message in a buffer is one of netlink that asks
// for more than what there is.
func netlinkChange(t *tracee, fd int, buffer uint64) (string, bool) {
	protocol, yes := t.netlinkProtocol(fd)
	if !yes {
		return "", false
	}
	// struct nlmsghdr has the type after the length.
	kind := binary.NativeEndian.Uint16(t.memory(buffer+4, 2))
	const (
		kindsOf   = 4  // rtnetlink's types come in fours: new, delete, get, set
		nftBegin  = 16 // NFNL_MSG_BATCH_BEGIN: nft changes in batches and asks outside of them
		ofNft     = 10 // NFNL_SUBSYS_NFTABLES
		byteWide  = 8
		ofControl = 16 // GENL_ID_CTRL: which families there are
	)
	about := fmt.Sprintf("netlink message %d of family %d", kind, protocol)
	switch protocol {
	case unix.NETLINK_ROUTE:
		return about, kind%kindsOf != 2
	case unix.NETLINK_NETFILTER:
		return about, kind == nftBegin || kind>>byteWide != ofNft
	case unix.NETLINK_GENERIC:
		return about, kind != ofControl
	}
	return about, true
}

// deviceChanges are requests of ioctl that make devices, or change them.
var deviceChanges = map[uint64]string{
	unix.TUNSETIFF: "TUNSETIFF", unix.TUNSETPERSIST: "TUNSETPERSIST", unix.TUNSETOWNER: "TUNSETOWNER", unix.TUNSETGROUP: "TUNSETGROUP",
	unix.SIOCSIFFLAGS: "SIOCSIFFLAGS", unix.SIOCSIFHWADDR: "SIOCSIFHWADDR", unix.SIOCSIFMTU: "SIOCSIFMTU", unix.SIOCSIFADDR: "SIOCSIFADDR",
	unix.SIOCADDRT: "SIOCADDRT", unix.SIOCDELRT: "SIOCDELRT", siocbraddbr: "SIOCBRADDBR", siocbrdelbr: "SIOCBRDELBR", siocbraddif: "SIOCBRADDIF", siocbrdelif: "SIOCBRDELIF",
}

// The requests for bridges.
const (
	siocbraddbr = 0x89a0
	siocbrdelbr = 0x89a1
	siocbraddif = 0x89a2
	siocbrdelif = 0x89a3
)

func changesDevice(_ *tracee, args [6]uint64) (string, bool) {
	name, yes := deviceChanges[args[1]&0xffffffff]
	return name, yes
}

// replacesTable is of the older iptables, which sets tables as options of a socket.
func replacesTable(_ *tracee, args [6]uint64) (string, bool) {
	const first, last = 64, 65 // IPT_SO_SET_REPLACE, IPT_SO_SET_ADD_COUNTERS
	return "iptables", (args[1] == unix.SOL_IP || args[1] == unix.SOL_IPV6) && args[2] >= first && args[2] <= last
}

// open is what a descriptor is open for: a path, or such as "socket:[1234]".
func (t *tracee) open(descriptor uint64) string {
	what, _ := os.Readlink("/proc/" + strconv.Itoa(t.pid) + "/fd/" + strconv.FormatUint(descriptor, 10))
	return what
}

// memory reads a tracee's memory; zeros where it cannot.
func (t *tracee) memory(at uint64, size int) []byte {
	data := make([]byte, size)
	local := []unix.Iovec{{Base: &data[0], Len: uint64(size)}}
	_, _ = unix.ProcessVMReadv(t.pid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: size}}, 0)
	return data
}

// text reads a path of a tracee's memory, a page of it at the most.
func (t *tracee) text(at uint64) string {
	const page = 4096
	data := t.memory(at, int(page-at%page))
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return string(data[:i])
	}
	return string(bytes.TrimRight(append(data, t.memory(at+uint64(len(data)), 256)...), "\x00"))
}

// netlinkProtocol is the family of a netlink socket.
func (t *tracee) netlinkProtocol(fd int) (protocol int, yes bool) {
	process, err := unix.PidfdOpen(t.group(), 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = unix.Close(process) }()
	socket, err := unix.PidfdGetfd(process, fd, 0)
	if err != nil {
		return 0, false
	}
	defer func() { _ = unix.Close(socket) }()
	domain, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_NETLINK {
		return 0, false
	}
	protocol, err = unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return protocol, err == nil
}
