// SPDX-License-Identifier: Apache-2.0

//go:build !amd64

package plugin

// oldChanges are the changing system calls that only older architectures have.
var oldChanges = map[uint64]change{}
