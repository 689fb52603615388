// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"time"
)

const (
	// StormSandboxes is how many sandboxes a restart storm has.
	StormSandboxes = 150
	// FewestStormSandboxes is how many it has on the slowest machine: several times
	// as many as plugins that have room in StormMemory at once, so that a daemon that
	// does not count them is killed.
	FewestStormSandboxes = 40
	// StormMemory is the memory limit of daemon and delegates together, in bytes.
	StormMemory = 50 << 20
	// RuntimeDeadline is how long a kubelet waits for a sandbox
	// (runtimeRequestTimeout's default).
	RuntimeDeadline = 2 * time.Minute
)
