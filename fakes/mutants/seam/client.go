// SPDX-License-Identifier: Apache-2.0

package seam

import (
	"fmt"
	"time"

	"github.com/thicket-cni/thicket/pkg/api"
)

// Client is the API's client functions, whose argument is a run directory. One
// that is nil is the real one.
type Client struct {
	Check, Wait func(runDir string) error
}

// Poll makes a WaitUntilAPIReady of a check.
func Poll(period, limit time.Duration, check func(string) error) func(string) error {
	return func(runDir string) error {
		late := time.After(limit)
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			err := check(runDir)
			if err == nil {
				return nil
			}
			select {
			case <-tick.C:
			case <-late:
				return fmt.Errorf("the daemon with socket %s was not ready in time: %w", api.SocketPath(runDir), err)
			}
		}
	}
}
