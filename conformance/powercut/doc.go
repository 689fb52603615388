// SPDX-License-Identifier: Apache-2.0

// Package powercut has a file system that remembers every change that is made to it,
// and builds what a machine that loses power may find of them.
//
// It is a FUSE file system over an ordinary directory. A program's own system
// calls pass through it, so that any daemon can be judged, in whatever way it
// keeps its records: a trace of system calls would know a write's bytes only of
// the calls that it was taught, and a seam in one daemon's code would see that
// daemon alone.
//
// # What a power cut leaves
//
// States follows what ext4 and xfs with a journal promise, and where their
// documentation differs, the weaker promise:
//
//   - Changes of directories (a new name, a rename, a removal) and of a file's
//     length by truncation become durable in their order. Those before the last
//     fsync of a directory are there; of the later ones any number, from the first
//     on.
//   - A file's bytes are durable after its fsync. Of what was written later, all
//     may be there, or nothing, or nothing but the length (bytes of zero), or some
//     blocks of 4096 bytes and not others.
//   - An fsync of a file says nothing of its name (fsync(2)).
package powercut
