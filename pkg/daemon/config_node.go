// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/nodeconf"
)

// NodeConfig is about the node's own CNI configuration: the file that sends
// the container runtime to the shim, and the default network that it stands
// before. The keys are Multus'.
type NodeConfig struct {
	// MultusConfigFile is "auto", which it is when the key is absent; the path of a
	// configuration to install; or empty: then somebody else writes the runtime's
	// configuration.
	MultusConfigFile string `json:"multusConfigFile"`
	// CNIConfigDir is where the runtime reads its configuration.
	CNIConfigDir string `json:"cniConfigDir"`
	// MultusAutoconfigDir is where the default network is looked for; empty
	// means CNIConfigDir.
	MultusAutoconfigDir string `json:"multusAutoconfigDir,omitempty"`
	// MultusMasterCNI names the default network's file there, or by an absolute
	// path; empty means the first one.
	MultusMasterCNI string `json:"multusMasterCNI,omitempty"`
	// ReadinessIndicatorFile has to exist before anything is attached.
	ReadinessIndicatorFile string `json:"readinessindicatorfile,omitempty"`
	// CNIVersion is the generated configuration's; empty means the newest.
	CNIVersion string `json:"cniVersion,omitempty"`
	// ForceCNIVersion makes CNIVersion the default network's too.
	ForceCNIVersion bool `json:"forceCNIVersion,omitempty"`
	// OverrideNetworkName gives the generated configuration the default
	// network's name.
	OverrideNetworkName bool `json:"overrideNetworkName,omitempty"`
	// CleanupConfigOnExit has a daemon that stops remove the generated
	// configuration, as Multus does: pods that start meanwhile get the default
	// network alone. Without it the configuration stays until an uninstall (RES-10).
	CleanupConfigOnExit bool `json:"cleanupConfigOnExit,omitempty"`
	// DaemonSocketDir is SocketDir as the host has it; empty means that it is
	// found below ChrootDir, or is the same.
	DaemonSocketDir string `json:"daemonSocketDir,omitempty"`
}

// configExtensions are what a runtime loads.
var configExtensions = []string{".conf", ".conflist", ".json"}

// auto says whether the runtime's configuration is generated.
func (n *NodeConfig) auto() bool { return n.MultusConfigFile == nodeconf.Auto }

// paths are the keys whose values have to be absolute paths.
func (n *NodeConfig) paths() []struct{ key, value string } {
	all := []struct{ key, value string }{
		{"cniConfigDir", n.CNIConfigDir}, {"multusAutoconfigDir", n.MultusAutoconfigDir},
		{"readinessindicatorfile", n.ReadinessIndicatorFile}, {"daemonSocketDir", n.DaemonSocketDir},
	}
	if !n.auto() {
		all = append(all, struct{ key, value string }{"multusConfigFile", n.MultusConfigFile})
	}
	return all
}

// validate says which key has a value that cannot be meant.
func (n *NodeConfig) validate() (key string, err error) {
	switch {
	case n.CNIVersion != "" && !slices.Contains(version.All.SupportedVersions(), n.CNIVersion):
		return "cniVersion", fmt.Errorf("%q is not one of %s", n.CNIVersion, strings.Join(version.All.SupportedVersions(), ", "))
	case n.MultusConfigFile == "":
		return "", nil
	case n.CNIConfigDir == "":
		return "cniConfigDir", fmt.Errorf("must not be empty; leave it out for its default")
	case !n.auto() && !slices.Contains(configExtensions, filepath.Ext(n.MultusConfigFile)):
		return "multusConfigFile", fmt.Errorf("%q: want %q, or a file whose name ends in %s: a runtime loads no others",
			n.MultusConfigFile, nodeconf.Auto, strings.Join(configExtensions, ", "))
	case !n.auto():
		return "", nil
	}
	return n.validateMaster()
}

// withoutEffect warns of keys that have none beside the others. Multus takes
// such configurations too, so they are not errors.
func (c *Config) withoutEffect(data []byte, source string) (warnings []string) {
	warn := func(key, why string) {
		warnings = append(warnings, fmt.Sprintf("%s:%d: %s has no effect %s", source, lineOfKey(data, key), key, why))
	}
	if !c.auto() {
		for _, k := range c.onlyWithAuto() {
			warn(k, fmt.Sprintf("without \"multusConfigFile\": %q", nodeconf.Auto))
		}
	}
	if c.ForceCNIVersion && c.CNIVersion == "" {
		warn("forceCNIVersion", "without cniVersion: there is no version to force")
	}
	switch {
	case len(c.Delegates) == 0:
	case c.ClusterNetwork != "":
		warn("delegates", "beside clusterNetwork")
	case c.auto():
		warn("delegates", fmt.Sprintf("with \"multusConfigFile\": %q: the default network is found on the node; set multusConfigFile to \"\" to use them", nodeconf.Auto))
	}
	return warnings
}

// onlyWithAuto lists the keys that are set and mean something to a generated
// configuration only.
func (n *NodeConfig) onlyWithAuto() (keys []string) {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"multusMasterCNI", n.MultusMasterCNI != ""}, {"multusAutoconfigDir", n.MultusAutoconfigDir != ""},
		{"overrideNetworkName", n.OverrideNetworkName}, {"daemonSocketDir", n.DaemonSocketDir != ""},
		{"cleanupConfigOnExit", n.CleanupConfigOnExit},
	} {
		if k.set {
			keys = append(keys, k.key)
		}
	}
	return keys
}

func (n *NodeConfig) validateMaster() (string, error) {
	name := n.MultusMasterCNI
	switch {
	case name == "":
		return "", nil
	case !filepath.IsAbs(name) && filepath.Base(name) != name:
		return "multusMasterCNI", fmt.Errorf("%q: want the name of a file in multusAutoconfigDir, or an absolute path", name)
	case filepath.Base(name) == nodeconf.FileName:
		return "multusMasterCNI", fmt.Errorf("%q is the file that is generated; the daemon would call itself without end", name)
	case !slices.Contains(configExtensions, filepath.Ext(name)):
		return "multusMasterCNI", fmt.Errorf("%q is no CNI configuration: its name must end in %s", name, strings.Join(configExtensions, ", "))
	}
	return "", nil
}
