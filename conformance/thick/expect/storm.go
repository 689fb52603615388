// SPDX-License-Identifier: Apache-2.0

package expect

import (
	"time"
)

const (
	// StormSandboxes is how many sandboxes a restart storm has.
	StormSandboxes = 150
	// StormMemory is the memory limit of daemon and delegates together, in bytes.
	StormMemory = 50 << 20
	// RuntimeDeadline is how long a kubelet waits for a sandbox
	// (runtimeRequestTimeout's default).
	RuntimeDeadline = 2 * time.Minute
)
