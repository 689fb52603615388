// SPDX-License-Identifier: Apache-2.0

// Package chaos drives a thick plugin as a busy node does, while its daemon is
// killed, stopped and deprived of its disk, and compares every answer with a
// model of what must be.
//
// Each slot is a place for one pod after the other, whose requests it makes as a
// kubelet, a container runtime and a hot-plug controller do. It knows what it was
// answered, so it knows what has to hold: an attachment that was answered with
// success is there, and CHECK says so; what DEL was answered for is gone.
// A request may fail while something disturbs the daemon, if that is a reason
// for it to fail, and at no other time. In the end nothing may be left.
//
// What is judged is what a runtime or an operator sees: answers, interfaces,
// leases of host-local, calls of delegates. Of its records the target is asked,
// where it names a command for that.
package chaos
