// SPDX-License-Identifier: Apache-2.0

// Package admission decides when a delegate plugin may run.
//
// Delegates run in the daemon's own memory cgroup: a node that comes back with
// 150 pods starts hundreds of them, and what gets the daemon killed is their
// memory, not its own (RES-06). So a plugin runs when the cgroup's limit has
// room for what plugins of its name have been seen to use; the others wait, as
// a few hundred bytes each. A DEL goes before every ADD, because it frees what
// an ADD may need; among ADDs the older request goes first, so that under load
// sandboxes become ready one after the other, and not all of them at the end.
package admission
