// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/thicket-cni/thicket/pkg/cluster"
	"github.com/thicket-cni/thicket/pkg/network"
	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

// ReadCluster is OpenCluster for somebody who looks once, beside a daemon or
// without one. Nothing is written, and nothing followed.
func ReadCluster(c *Config, log *slog.Logger) (cluster.Cluster, error) {
	if c.Cluster.Directory != "" {
		return cluster.OpenDirectory(c.Cluster.Directory, log)
	}
	r, err := cluster.NewReader(kubernetesOptions(c, log))
	if err != nil {
		return nil, fmt.Errorf("where pods come from: %w", err)
	}
	return r, nil
}

// Rules are those of a configuration for what pods may ask for, without the
// networks of a node.
func Rules(c *Config) network.Options {
	o := (&Daemon{config: c}).plannerOptions(nil, nil)
	o.ClusterNetworkNow, o.DelegatesNow, o.Devices = nil, nil, nil
	return o
}

// NewPlanner returns what plans pods' networks as the daemon of this
// configuration does. It starts nothing and writes nothing: of the node's files it
// is what they say now.
func NewPlanner(ctx context.Context, c *Config, from cluster.Cluster, log *slog.Logger) *network.Planner {
	d := &Daemon{config: c, log: log, cluster: from}
	var named func(context.Context) ([]byte, string, error)
	if c.ClusterNetwork != "" {
		named = func(context.Context) ([]byte, string, error) {
			return nil, "", errors.New("the planner finds it by itself")
		}
	}
	d.node = nodeconf.New(nodeconf.Options{
		File: c.MultusConfigFile, ConfigDir: c.CNIConfigDir, AutoconfigDir: c.MultusAutoconfigDir,
		Master: c.MultusMasterCNI, ReadinessFile: c.ReadinessIndicatorFile, Network: named, Log: log,
	})
	d.planner = network.NewPlanner(d.plannerOptions(from, nil), from)
	d.node.Find(ctx)
	return d.planner
}
