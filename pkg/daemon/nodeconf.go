// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"os"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/thicket-cni/thicket/pkg/api"
	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

const (
	// shimType is the shim's plugin type and file name.
	shimType = "thicket-shim"
	// codeUnavailable is the CNI spec's code 50: ADD cannot be served (section
	// 2, STATUS).
	codeUnavailable uint = 50
)

// openNode prepares what follows the node's CNI configuration. The run
// directory exists by now, so that its path on the host can be found.
func (d *Daemon) openNode() *nodeconf.Manager {
	c := d.config
	shim := nodeconf.Shim{
		Type: shimType, CNIVersion: c.CNIVersion, OverrideNetworkName: c.OverrideNetworkName,
		SocketDir: c.DaemonSocketDir, LogFile: c.LogFile, LogLevel: c.LogLevel,
		LogToStderr: c.LogToStderr != nil && *c.LogToStderr, Capabilities: c.Capabilities,
	}
	if shim.SocketDir == "" {
		shim.SocketDir = d.hostPath("socketDir", c.SocketDir)
	}
	defaults := DefaultConfig()
	if c.CNIDir != defaults.CNIDir {
		shim.CNIDir = d.hostPath("cniDir", c.CNIDir)
	}
	if c.PendingDir != api.PendingDir(c.CNIDir) {
		shim.PendingDir = d.hostPath("pendingDir", c.PendingDir)
	}
	var named func(context.Context) ([]byte, string, error)
	if c.ClusterNetwork != "" {
		named = d.namedNetwork
	}
	return nodeconf.New(nodeconf.Options{
		File: c.MultusConfigFile, ConfigDir: c.CNIConfigDir, AutoconfigDir: c.MultusAutoconfigDir,
		Master: c.MultusMasterCNI, ReadinessFile: c.ReadinessIndicatorFile, Network: named,
		Shim: shim, CleanupOnExit: c.CleanupConfigOnExit, Holds: d.socket.holds, Log: d.log,
	})
}

// hostPath is where the shim, which runs on the host, has one of the daemon's
// directories. That matters to a generated configuration only.
func (d *Daemon) hostPath(key, path string) string {
	if !d.config.auto() {
		return path
	}
	_ = os.MkdirAll(path, 0o700) // the pending DELs' directory is made later; HostPath needs it
	host, ok := nodeconf.HostPath(path, d.config.ChrootDir)
	if !ok {
		d.log.Warn("the directory is not found below chrootDir; the shim is told the daemon's own path, which the host may not have",
			"key", key, "path", path, "chrootDir", d.config.ChrootDir)
		return path
	}
	return host
}

// defaultNetwork is asked for each plan: the node's files may have changed.
func (d *Daemon) defaultNetwork() string {
	if d.config.ClusterNetwork != "" {
		return d.config.ClusterNetwork
	}
	return d.node.ClusterNetwork()
}

// delegates are the configurations that stand in the default network's place
// where clusterNetwork names nothing: the daemon's own, else those of the
// configuration that it installs.
func (d *Daemon) delegates() []json.RawMessage {
	switch {
	case d.config.auto():
		return nil // the default network is found on the node
	case len(d.config.Delegates) > 0:
		return d.config.Delegates
	}
	return d.node.Delegates()
}

// namedNetwork returns the configuration of the network that clusterNetwork
// names, for a configuration that is generated.
func (d *Daemon) namedNetwork(ctx context.Context) (config []byte, name string, err error) {
	found, err := d.planner.Default(ctx, "eth0", nil)
	if err != nil {
		return nil, "", err
	}
	return found.Config, d.config.ClusterNetwork, nil
}

// forcedVersion is the version that the default network is given.
func forcedVersion(c *Config) string {
	if c.ForceCNIVersion {
		return c.CNIVersion
	}
	return ""
}

// status answers the CNI command STATUS: code 50 while the node's own
// configuration is not complete (ST-02) or its namespaces cannot be seen
// (RES-09), else what attaching depends on.
func (d *Daemon) status(ctx context.Context) error {
	if what := cmp.Or(d.node.Waiting(), d.engine.Unseen()); what != "" {
		return types.NewError(codeUnavailable, "not ready: waiting for "+what, "")
	}
	return d.engine.Status(ctx)
}

// withdraw ends the following of the node's files, which may remove a generated
// configuration (cleanupConfigOnExit); it is over before the run directory is
// given up, so that the next daemon finds the old one done.
func (d *Daemon) withdraw(stop context.CancelFunc, ended <-chan error) {
	stop()
	if err := <-ended; err != nil {
		d.log.Error("stopping", "error", err)
	}
}
