// SPDX-License-Identifier: Apache-2.0

package thick

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/thicket-cni/thicket/pkg/api"
)

// Client is the API's client functions, as an implementation has them for its
// own callers. Their argument is a run directory.
type Client interface {
	// CheckAPIReadyNow checks once whether a daemon can be talked to.
	CheckAPIReadyNow(runDir string) error
	// WaitUntilAPIReady waits until a daemon can serve an ADD.
	WaitUntilAPIReady(runDir string) error
}

// ClientTarget is a Target with client functions of its own. Of any other the
// suite judges those of package api, with which the target's daemon and shim
// have to get on.
type ClientTarget interface {
	Target
	// Client returns them; nil means those of package api.
	Client() Client
}

// Client is what the case calls as the API's client functions.
func (e *Env) Client() Client {
	if t, ok := e.Target.(ClientTarget); ok {
		if c := t.Client(); c != nil {
			return c
		}
	}
	return apiClient{}
}

type apiClient struct{}

// CheckAPIReadyNow implements Client.
func (apiClient) CheckAPIReadyNow(runDir string) error { return api.CheckAPIReadyNow(runDir) }

// WaitUntilAPIReady implements Client.
func (apiClient) WaitUntilAPIReady(runDir string) error { return api.WaitUntilAPIReady(runDir) }

// ClientKeys are client functions as programs: each gets the run directory
// as its last argument, ends with 0 for nil, and prints its error on stderr.
type ClientKeys struct {
	// CheckReady is a command in place of the API's CheckAPIReadyNow: it gets the
	// run directory as its last argument, ends with 0 for nil, and prints its error
	// on stderr.
	CheckReady []string `yaml:"checkReady"`
	// WaitReady is the same in place of WaitUntilAPIReady; the two belong together.
	WaitReady []string `yaml:"waitReady"`
}

// Client implements ClientTarget.
func (t *yamlTarget) Client() Client {
	if len(t.file.Client.CheckReady) == 0 || len(t.file.Client.WaitReady) == 0 {
		return nil
	}
	return &t.file.Client
}

// CheckAPIReadyNow implements Client.
func (c *ClientKeys) CheckAPIReadyNow(runDir string) error { return ask(c.CheckReady, runDir) }

// WaitUntilAPIReady implements Client.
func (c *ClientKeys) WaitUntilAPIReady(runDir string) error { return ask(c.WaitReady, runDir) }

func ask(command []string, runDir string) error {
	var said strings.Builder
	cmd := exec.CommandContext(context.Background(), command[0], append(command[1:len(command):len(command)], runDir)...)
	cmd.Stderr = &said
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended):
		return errors.New(strings.TrimSpace(said.String()))
	}
	return fmt.Errorf("client of the target: %w", err)
}
