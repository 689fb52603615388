// SPDX-License-Identifier: Apache-2.0

package cgroup

import "testing"

const (
	hybrid = "5:memory:/kubepods/pod1/c1\n4:cpu,cpuacct:/kubepods/pod1/c1\n0::/kubepods/pod1/c1\n"
	// A container of version 1 sees its own cgroup only.
	inside = `30 25 0:26 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro
31 30 0:27 /kubepods/pod1/c1 /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory
32 30 0:28 /kubepods/pod1/c1 /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct
`
	outside = `31 30 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw
`
	unified = "35 30 0:29 / /sys/fs/cgroup rw shared:12 - cgroup2 cgroup2 rw,nsdelegate\n"
	other   = "35 30 0:29 /system.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
)

func TestFind(t *testing.T) {
	for _, tt := range []struct{ own, mounts, controller, want string }{
		{hybrid, inside, "memory", "/sys/fs/cgroup/memory"},
		{hybrid, inside, "cpuacct", "/sys/fs/cgroup/cpu,cpuacct"},
		{hybrid, inside, "", ""},
		{hybrid, outside, "memory", "/sys/fs/cgroup/memory/kubepods/pod1/c1"},
		{hybrid, outside, "", "/sys/fs/cgroup/unified/kubepods/pod1/c1"},
		{"0::/\n", unified, "", "/sys/fs/cgroup"},
		{"0::/\n", unified, "memory", ""},
		{"0::/kubepods/x\n", other, "", ""},
		{"", unified, "", ""},
		{"0::/\n", "36 30 0:29 /../../.. /host/cgroup rw - cgroup2 cgroup2 rw\n" + unified, "", "/sys/fs/cgroup"},
	} {
		got, err := find(tt.own, tt.mounts, tt.controller)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q of %q, mounted as %q: %q, %v; want %q", tt.controller, tt.own, tt.mounts, got, err, tt.want)
		}
	}
}
