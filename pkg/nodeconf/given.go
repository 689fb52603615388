// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/thicket-cni/thicket/pkg/foreign"
	"github.com/thicket-cni/thicket/pkg/network"
)

// given is what a configuration that the node's administrator wrote says of the
// pods' networks.
type given struct {
	ClusterNetwork string            `json:"clusterNetwork"`
	Delegates      []json.RawMessage `json:"delegates"`
	// unheeded are its keys that Multus' daemon would take, and this one takes
	// from its own configuration only.
	unheeded []string
}

// daemonKeys decide what pods get, and are the daemon's own configuration's here.
var daemonKeys = []string{
	"auxiliaryCNIChainName", "binDir", "confDir", "defaultNetworks", "globalNamespaces", "kubeconfig",
	"multusNamespace", "namespaceIsolation", "readinessindicatorfile", "systemNamespaces",
}

// readGiven reads such a configuration, and returns its content as it is.
func readGiven(path string) (networks given, content []byte, err error) {
	// Through the checks of a network's configuration, so that nothing broken
	// is handed to the runtime.
	config, err := network.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return given{}, nil, missing("multusConfigFile " + path)
	}
	if err != nil {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %v", err))
	}
	if !network.IsShim(config) {
		return given{}, nil, missing(fmt.Sprintf("a multusConfigFile whose type is the shim's; %s has another one", path))
	}
	if content, err = foreign.ReadFile(path, maxFile, foreign.FollowLinks); err != nil {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %v", err))
	}
	var list struct {
		Plugins []given `json:"plugins"`
	}
	if err := json.Unmarshal(config, &list); err != nil || len(list.Plugins) == 0 {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %s: want a string as clusterNetwork, and a list as delegates", path))
	}
	networks = list.Plugins[0]
	networks.unheeded = unheeded(config)
	return networks, content, nil
}

// unheeded lists the keys of a shim's configuration that only the daemon's can
// have.
func unheeded(config []byte) (keys []string) {
	var list struct {
		Plugins []map[string]json.RawMessage `json:"plugins"`
	}
	if json.Unmarshal(config, &list) != nil || len(list.Plugins) == 0 {
		return nil
	}
	for _, key := range daemonKeys {
		if list.Plugins[0][key] != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// given reads the configuration that is to be installed, and says in the log
// which of its keys have no effect.
func (m *Manager) given() (networks given, content []byte, err error) {
	if networks, content, err = readGiven(m.o.File); err != nil {
		return given{}, nil, err
	}
	if err := network.CheckDelegates(networks.Delegates); err != nil && networks.ClusterNetwork == "" && m.o.Network == nil {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %s: %v", m.o.File, err))
	}
	if len(networks.unheeded) > 0 && !slices.Equal(networks.unheeded, m.networks.unheeded) {
		m.o.Log.Warn("keys of multusConfigFile have no effect; write them into the daemon's own configuration",
			"file", m.o.File, "keys", strings.Join(networks.unheeded, ", "))
	}
	return networks, content, nil
}
