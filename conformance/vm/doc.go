// SPDX-License-Identifier: Apache-2.0

// Package vm runs programs in a virtual machine with a kernel of its own: for what
// the machine that tests may not have (cgroup v2, kinds of interfaces), and for
// power cuts, which end the machine at any moment and leave what its disk has.
//
// The machine is qemu's, which emulates the processor: it needs neither /dev/kvm
// nor root, and is some ten times slower. Its time is counted in instructions, so
// that a busy host, or one that stands still, is not seen in it. Its kernel is
// Debian's, unpacked; its first process is package guest's program, which the kernel
// gets in an initramfs with the modules that are needed and a shell. Programs are on a disk of
// their own that is read only, and what has to survive is on another one. The machine
// tells what happens over a serial port, event by event (package event), and gets its
// job there when it has booted: one whose power is cut again and again continues from
// there each time (Freeze).
package vm
