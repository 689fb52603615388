// SPDX-License-Identifier: Apache-2.0

// Package runtime is a small runtime of CNI plugins that keeps the specification
// by the letter, and the faults that can be put into it one at a time. The suite's
// profile for runtimes has to pass it without a fault and to fail it with each.
//
// It is a program with the command line of the suite's adapters: add, del, check,
// gc and status. It looks after containers: what it attaches is recorded before the
// first plugin runs, an ADD that fails is followed by DEL, and DEL works from
// another process, after a reboot, and without the namespace.
//
// A fault's name follows the program's: thin-runtime.forward-order.
//
// It does without libcni, which differs from the letter: numbers arrive as they
// are written, keys that are the runtime's own do not pass, and a version that is
// not known is refused.
package runtime
