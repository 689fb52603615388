// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/thicket-cni/thicket/conformance/suite"
)

// dropped are the capabilities that a foreign program does not get: what they are
// for reaches beyond every namespace.
var dropped = []uintptr{unix.CAP_SYS_MODULE, unix.CAP_SYS_TIME, unix.CAP_SYS_BOOT, unix.CAP_SYS_RAWIO}

// DropCapabilities has this thread, and what it executes, give up the capabilities
// that reach beyond the case's namespaces, for good.
func DropCapabilities() error {
	for _, capability := range dropped {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return fmt.Errorf("capability %d: %w", capability, err)
		}
	}
	return nil
}

// Harmless calls start, which starts a process, on a thread that has dropped the
// capabilities.
func Harmless(start func() error) error {
	return suite.OnOwnThread(func() error {
		if err := DropCapabilities(); err != nil {
			return err
		}
		return start()
	})
}
