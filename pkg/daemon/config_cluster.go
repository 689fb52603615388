// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/thicket-cni/thicket/pkg/admission"
	"github.com/thicket-cni/thicket/pkg/cluster"
)

// nodeNameVariable is the environment variable in which Multus' manifests pass
// the node's name.
const nodeNameVariable = "MULTUS_NODE_NAME"

// defaultCertDuration is Multus'.
const defaultCertDuration = 10 * time.Minute

// ClusterConfig says where pods and network definitions come from, when it is
// not a Kubernetes API server.
type ClusterConfig struct {
	// Directory holds manifests of pods and definitions: the embedded default,
	// which needs no Kubernetes.
	Directory string `json:"directory,omitempty"`
}

// PerNodeCertificate has the daemon ask the API server for a client certificate
// of its own, as Multus' key of this name.
type PerNodeCertificate struct {
	Enabled bool `json:"enabled,omitempty"`
	// BootstrapKubeconfig is what asks for the certificate.
	BootstrapKubeconfig string `json:"bootstrapKubeconfig,omitempty"`
	// CertDir keeps it over restarts.
	CertDir string `json:"certDir,omitempty"`
	// CertDuration is how long one is valid; 10 minutes when it is 0.
	CertDuration Duration `json:"certDuration,omitempty"`
}

// validateCluster checks what says where pods come from.
func (c *Config) validateCluster(bad func(key, format string, args ...any) error) error {
	own := c.PerNodeCertificate
	switch {
	case c.Cluster.Directory != "" && (c.Kubeconfig != "" || own.Enabled):
		return bad("cluster", "pods come from the directory %s or from an API server (kubeconfig, perNodeCertificate), not from both; remove one", c.Cluster.Directory)
	case own.Enabled && (own.BootstrapKubeconfig == "" || own.CertDir == ""):
		return bad("perNodeCertificate", "bootstrapKubeconfig and certDir are needed")
	case own.Enabled && own.CertDuration != 0 && time.Duration(own.CertDuration) < 10*time.Minute:
		return bad("certDuration", "the API server signs nothing shorter than 10m")
	}
	return nil
}

// OpenCluster returns the cluster that the configuration names: a directory of
// manifests, or an API server: the one of the daemon's own pod when
// nothing is said. A program that embeds the daemon can put a layer of its own
// round it, as Options.Cluster. Errors name the setting at fault.
func OpenCluster(c *Config, log *slog.Logger) (cluster.Cluster, error) {
	if c.Cluster.Directory != "" {
		return cluster.OpenDirectory(c.Cluster.Directory, log)
	}
	k, err := cluster.NewKubernetes(kubernetesOptions(c, log))
	if err != nil {
		return nil, fmt.Errorf("where pods come from: %w", err)
	}
	return k, nil
}

// kubernetesOptions say how to reach the configuration's API server.
func kubernetesOptions(c *Config, log *slog.Logger) cluster.KubernetesOptions {
	o := cluster.KubernetesOptions{
		Kubeconfig: c.Kubeconfig,
		NodeName:   cmp.Or(c.NodeName, os.Getenv(nodeNameVariable)),
		Budget:     admission.CacheBudget(),
		Log:        log,
	}
	if own := c.PerNodeCertificate; own.Enabled {
		o.Certificate = &cluster.CertificateOptions{
			BootstrapKubeconfig: own.BootstrapKubeconfig, Dir: own.CertDir,
			Duration: cmp.Or(time.Duration(own.CertDuration), defaultCertDuration),
		}
	}
	return o
}
