// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/pkg/ledger"
)

// nodeProcess is where the node's first process is seen by a daemon that shares
// the node's processes (hostPID).
const nodeProcess = "/proc/1"

// nodeStart identifies this start of a node. A node that is itself a container
// (kind, LXD) starts again without a new boot id, and none of its sandboxes
// outlives that. It is "" where the process is not the node's: one in the
// daemon's own mount namespace belongs to the daemon's own container, or cannot
// be told from one that does.
func nodeStart(process string) string {
	if inode(process+"/ns/mnt") == inode("/proc/self/ns/mnt") {
		return ""
	}
	stat, err := os.ReadFile(process + "/stat")
	if err != nil {
		return ""
	}
	// The name of the program may hold anything; fields are counted after it.
	_, rest, _ := strings.Cut(string(stat[max(0, strings.LastIndexByte(string(stat), ')')):]), " ")
	const startTime = 19
	fields := strings.Fields(rest)
	if len(fields) <= startTime {
		return ""
	}
	return fmt.Sprintf("%d:%s", inode(process+"/ns/pid"), fields[startTime])
}

// restarted reports whether the node was started again since a sandbox's ADD,
// and the daemon sees the very directory that the node has for namespaces now.
// Either alone proves nothing: the first process may be that of the daemon's own
// pod (shareProcessNamespace), and an empty directory may hide a mount.
func (e *Engine) restarted(rec *ledger.Record, dir string) bool {
	return rec.NodeStart != "" && e.nodeStart != "" && rec.NodeStart != e.nodeStart && seenBy(nodeProcess, dir)
}

// seenBy reports whether a process sees the same directory at a path as the
// daemon does.
func seenBy(process, dir string) bool {
	var here, there unix.Stat_t
	if err := unix.Stat(dir, &here); err != nil {
		return false
	}
	root, err := unix.Open(process+"/root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer closeAll(root)
	// Links lead where they lead that process: /var/run is one, often absolute.
	fd, err := unix.Openat2(root, dir, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	if err != nil {
		return false
	}
	defer closeAll(fd)
	if err := unix.Fstat(fd, &there); err != nil {
		return false
	}
	return here.Dev == there.Dev && here.Ino == there.Ino
}
