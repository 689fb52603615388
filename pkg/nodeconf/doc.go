// SPDX-License-Identifier: Apache-2.0

// Package nodeconf keeps the node's own CNI configuration: it finds the
// default network among the files that the node's network agent writes, makes
// the file that sends the container runtime to the shim, 00-multus.conf, and
// follows both while the daemon runs: files and directories may change, go
// away and come back at any time, and nothing of it needs a restart (RES-08).
//
// The runtime reads the file whenever it likes, so it is only ever replaced
// whole. While the default network is missing it stays where it is: DEL and
// STATUS reach the daemon through it.
package nodeconf
