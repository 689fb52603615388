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
	// MultusConfigFile is "auto", the path of a configuration to install, or
	// empty: then somebody else writes the runtime's configuration.
	MultusConfigFile string `json:"multusConfigFile,omitempty"`
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
	// CNIVersion is the generated configuration's; empty means the default
	// network's.
	CNIVersion string `json:"cniVersion,omitempty"`
	// ForceCNIVersion makes CNIVersion the default network's too.
	ForceCNIVersion bool `json:"forceCNIVersion,omitempty"`
	// OverrideNetworkName gives the generated configuration the default
	// network's name.
	OverrideNetworkName bool `json:"overrideNetworkName,omitempty"`
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

// validate says which key has a value, or stands beside another one, that
// cannot be meant; clusterNetwork is that of the whole configuration.
func (n *NodeConfig) validate(clusterNetwork string) (key string, err error) {
	switch {
	case n.CNIVersion != "" && !slices.Contains(version.All.SupportedVersions(), n.CNIVersion):
		return "cniVersion", fmt.Errorf("%q is not one of %s", n.CNIVersion, strings.Join(version.All.SupportedVersions(), ", "))
	case n.MultusConfigFile == "":
		return n.onlyWithAuto(fmt.Errorf(`it has no effect without "multusConfigFile": %q; set that, or remove the key`, nodeconf.Auto))
	case n.CNIConfigDir == "":
		return "cniConfigDir", fmt.Errorf("must not be empty; leave it out for its default")
	case !n.auto():
		if !slices.Contains(configExtensions, filepath.Ext(n.MultusConfigFile)) {
			return "multusConfigFile", fmt.Errorf("%q: want %q, or a file whose name ends in %s: a runtime loads no others",
				n.MultusConfigFile, nodeconf.Auto, strings.Join(configExtensions, ", "))
		}
		return n.onlyWithAuto(fmt.Errorf("it has no effect beside the configuration that multusConfigFile gives; write it there, or set multusConfigFile to %q", nodeconf.Auto))
	case clusterNetwork != "":
		return "clusterNetwork", fmt.Errorf("with multusConfigFile %q the default network is found on the node; remove one of the two keys, or name its file with multusMasterCNI", nodeconf.Auto)
	case n.ForceCNIVersion && n.CNIVersion == "":
		return "forceCNIVersion", fmt.Errorf("there is no version to force; set cniVersion too")
	}
	return n.validateMaster()
}

// onlyWithAuto finds a key that means something to a generated configuration only.
func (n *NodeConfig) onlyWithAuto(err error) (string, error) {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"multusMasterCNI", n.MultusMasterCNI != ""}, {"multusAutoconfigDir", n.MultusAutoconfigDir != ""},
		{"forceCNIVersion", n.ForceCNIVersion}, {"overrideNetworkName", n.OverrideNetworkName},
		{"daemonSocketDir", n.DaemonSocketDir != ""},
	} {
		if k.set {
			return k.key, err
		}
	}
	return "", nil
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
