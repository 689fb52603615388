// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"encoding/json"
	"fmt"

	"github.com/thicket-cni/thicket/pkg/network"
)

// MultusConfig holds further keys of Multus' configuration, so that a node's
// configuration can stay as it is (NET-28).
type MultusConfig struct {
	// Delegates are configurations that stand in ClusterNetwork's place: the first
	// is the default network, every pod is attached to the others. They count
	// where neither ClusterNetwork nor the node's files name the default network.
	Delegates []json.RawMessage `json:"delegates,omitempty"`
	// Capabilities are declared to the runtime beside those of the default
	// network.
	Capabilities map[string]bool `json:"capabilities,omitempty"`
	// LogOptions say when LogFile is rotated.
	LogOptions LogOptions `json:"logOptions,omitzero"`
	// RetryDeleteOnError asks for what this daemon always does: what could not be
	// deleted stays recorded until a DEL succeeds.
	RetryDeleteOnError bool `json:"retryDeleteOnError,omitempty"`
}

// LogOptions say when LogFile is rotated and what is kept of it. Nil means
// Multus' default.
type LogOptions struct {
	// MaxAge is how many days a former file is kept; 0 means for ever.
	MaxAge *int `json:"maxAge,omitempty"`
	// MaxSize is how large the file becomes, in megabytes.
	MaxSize *int `json:"maxSize,omitempty"`
	// MaxBackups is how many former files are kept; 0 means all.
	MaxBackups *int `json:"maxBackups,omitempty"`
	// Compress says whether former files are compressed.
	Compress *bool `json:"compress,omitempty"`
}

// validate says which key has a value that cannot be meant.
func (m *MultusConfig) validate() (key string, err error) {
	for _, n := range []struct {
		key   string
		value *int
		least int
	}{{"maxAge", m.LogOptions.MaxAge, 0}, {"maxSize", m.LogOptions.MaxSize, 1}, {"maxBackups", m.LogOptions.MaxBackups, 0}} {
		if n.value != nil && *n.value < n.least {
			return n.key, fmt.Errorf("%d is less than %d; leave it out for the default", *n.value, n.least)
		}
	}
	if err := network.CheckDelegates(m.Delegates); err != nil {
		return "delegates", err
	}
	return "", nil
}
