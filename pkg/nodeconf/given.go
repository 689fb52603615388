// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/thicket-cni/thicket/pkg/network"
)

// given is what a configuration that the node's administrator wrote says of the
// pods' networks.
type given struct {
	ClusterNetwork string            `json:"clusterNetwork"`
	Delegates      []json.RawMessage `json:"delegates"`
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
	if content, err = os.ReadFile(path); err != nil {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %v", err))
	}
	var list struct {
		Plugins []given `json:"plugins"`
	}
	if err := json.Unmarshal(config, &list); err != nil || len(list.Plugins) == 0 {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %s: want a string as clusterNetwork, and a list as delegates", path))
	}
	networks = list.Plugins[0]
	if err := network.CheckDelegates(networks.Delegates); err != nil && networks.ClusterNetwork == "" {
		return given{}, nil, missing(fmt.Sprintf("a usable multusConfigFile: %s: %v", path, err))
	}
	return networks, content, nil
}
