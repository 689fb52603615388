// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// FileName is the name of the configuration that is generated: it sorts before
// those of default networks, so that the runtime takes it.
const FileName = "00-multus.conf"

// Shim is what the generated configuration says beside the default network's
// part. Paths are as the container runtime's host has them, which need not be
// how the daemon's container has them.
type Shim struct {
	// Type is the shim's plugin type.
	Type string
	// CNIVersion is the version in which the runtime speaks with the shim; empty
	// means the newest, which has STATUS and GC (ST-04). The default network's own
	// does not matter to the runtime: the daemon translates.
	CNIVersion string
	// Capabilities are declared beside those of the default network.
	Capabilities map[string]bool
	// SocketDir is always written: a shim that has to guess it waits for the
	// wrong socket.
	SocketDir string
	// CNIDir and PendingDir are where the shim leaves DELs that find no daemon;
	// empty means the shim's defaults.
	CNIDir, PendingDir string
	// LogFile, LogLevel and LogToStderr are the shim's own logging.
	LogFile, LogLevel string
	LogToStderr       bool
	// OverrideNetworkName gives the configuration the default network's name in
	// place of defaultName.
	OverrideNetworkName bool
}

const (
	// defaultName is the network's name that Multus generates.
	defaultName = "multus-cni-network"
	// newestVersion is the newest that the shim speaks.
	newestVersion = "1.1.0"
)

// conf is the generated configuration of a single plugin; its keys are Multus'
// and the shim's.
type conf struct {
	CNIVersion   string          `json:"cniVersion"`
	Name         string          `json:"name"`
	Type         string          `json:"type"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
	SocketDir    string          `json:"daemonSocketDir"`
	CNIDir       string          `json:"cniDir,omitempty"`
	PendingDir   string          `json:"pendingDir,omitempty"`
	LogFile      string          `json:"logFile,omitempty"`
	LogLevel     string          `json:"logLevel,omitempty"`
	LogToStderr  bool            `json:"logToStderr,omitempty"`
	// ClusterNetwork is the path as the daemon has it. The shim does not read
	// it; Multus' daemon would, and a person does.
	ClusterNetwork string `json:"clusterNetwork"`
}

// generate makes the configuration for a default network.
func (s *Shim) generate(m *master) ([]byte, error) {
	c := &conf{
		CNIVersion: s.CNIVersion, Name: defaultName, Type: s.Type, Capabilities: m.capabilities,
		SocketDir: s.SocketDir, CNIDir: s.CNIDir, PendingDir: s.PendingDir,
		LogFile: s.LogFile, LogLevel: s.LogLevel, LogToStderr: s.LogToStderr,
		ClusterNetwork: m.path,
	}
	if s.OverrideNetworkName {
		c.Name = m.name
	}
	for capability, enabled := range s.Capabilities {
		if enabled {
			m.capabilities[capability] = true
		}
	}
	c.CNIVersion = cmp.Or(c.CNIVersion, newestVersion)
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", FileName, err)
	}
	return append(data, '\n'), nil
}
