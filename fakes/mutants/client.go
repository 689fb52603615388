// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/thicket-cni/thicket/pkg/api"
)

// client is the API's client functions, whose argument is a run directory. One
// that is nil is the real one.
type client struct {
	check, wait func(runDir string) error
}

// ask calls a client function and prints its error as the API's would read.
func ask(m *mutant, command, runDir string) error {
	c := client{api.CheckAPIReadyNow, api.WaitUntilAPIReady}
	if m.client != nil && m.client.check != nil {
		c.check = m.client.check
	}
	if m.client != nil && m.client.wait != nil {
		c.wait = m.client.wait
	}
	f := c.check
	if command == "wait-ready" {
		f = c.wait
	}
	if runDir == "" {
		return fmt.Errorf("%s: the run directory is missing", command)
	}
	return f(runDir)
}
