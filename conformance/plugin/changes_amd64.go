// SPDX-License-Identifier: Apache-2.0

package plugin

import "golang.org/x/sys/unix"

// oldChanges are the changing system calls that only older architectures have.
var oldChanges = map[uint64]change{
	unix.SYS_OPEN:     {"open", 0, creates(1)},
	unix.SYS_CREAT:    {"creat", 0, nil},
	unix.SYS_MKDIR:    {"mkdir", 0, nil},
	unix.SYS_RMDIR:    {"rmdir", 0, nil},
	unix.SYS_MKNOD:    {"mknod", 0, nil},
	unix.SYS_LINK:     {"link", 1, nil},
	unix.SYS_SYMLINK:  {"symlink", 1, nil},
	unix.SYS_RENAME:   {"rename", 1, nil},
	unix.SYS_RENAMEAT: {"renameat", 3, nil},
	unix.SYS_UNLINK:   {"unlink", 0, nil},
	unix.SYS_CHMOD:    {"chmod", 0, nil},
	unix.SYS_CHOWN:    {"chown", 0, nil},
}
