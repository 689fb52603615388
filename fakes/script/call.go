// SPDX-License-Identifier: Apache-2.0

package script

import (
	"encoding/json"
	"fmt"
	"time"
)

// Call is one execution of a fake delegate, as it recorded it itself.
type Call struct {
	Command     string `json:"command"`
	Type        string `json:"type"`
	Network     string `json:"network"`
	Interface   string `json:"interface"`
	ContainerID string `json:"containerID"`
	Netns       string `json:"netns"`
	Path        string `json:"path"`
	Args        string `json:"args"`
	// Env is the whole environment, Stdin the exact bytes of the configuration.
	Env   []string `json:"env"`
	Stdin []byte   `json:"stdin"`
	// Host is the inode of the network namespace that the plugin was executed in,
	// Container that of the one at Netns; 0 where there is none.
	Host      uint64 `json:"host,omitempty"`
	Container uint64 `json:"container,omitempty"`
	// End is zero while the plugin runs, and for one that was killed.
	Start time.Time `json:"start"`
	End   time.Time `json:"end,omitzero"`
	PID   int       `json:"pid"`
	PPID  int       `json:"ppid"`
	PGID  int       `json:"pgid"`
	// ChildPID is the process that the step's Child started.
	ChildPID int `json:"childPID,omitempty"`
}

// Config decodes the configuration that the delegate got. It panics when that
// is not JSON: the delegate records no call then.
func (c Call) Config() map[string]any {
	var conf map[string]any
	if err := json.Unmarshal(c.Stdin, &conf); err != nil {
		panic(fmt.Errorf("the configuration of a recorded call: %w", err))
	}
	return conf
}
