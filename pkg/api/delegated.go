// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"os"

	"github.com/containernetworking/cni/pkg/types"
)

const (
	// DelegateVariable is in the environment of every plugin that a daemon executes, and of what such a plugin executes in
	// turn, by name or through a script; its value is the daemon's socket. A shim that finds it would lead back to a
	// daemon, which waits for the plugin: without end, if nobody says no (SEC-09). As shims pass on what begins with CNI_, a
	// daemon finds it too when the shim is another make's.
	DelegateVariable = "CNI_DELEGATE_OF"
)

// Delegated returns whether a delegate of the daemon by is behind a request for a command, and the answer to it. What it
// has not attached it need not detach: DEL and GC do nothing and succeed, so that a pod whose ADD was refused goes away.
// Everything else is an error with code 7.
func Delegated(by, command string) (delegated bool, err error) {
	switch {
	case by == "":
		return false, nil
	case command == "DEL" || command == "GC":
		return true, nil
	}
	return true, types.NewError(types.ErrInvalidNetworkConfig,
		fmt.Sprintf("a plugin that the daemon at %s executes has called a shim; a shim cannot be a delegate", by), "")
}

// delegated is Delegated of this process.
func delegated() (bool, error) {
	return Delegated(os.Getenv(DelegateVariable), os.Getenv("CNI_COMMAND"))
}
