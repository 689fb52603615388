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

// readGiven reads a configuration that the node's administrator wrote, and
// returns the clusterNetwork that it names, if any, and its content as it is.
func readGiven(path string) (clusterNetwork string, content []byte, err error) {
	// Through the checks of a network's configuration, so that nothing broken
	// is handed to the runtime.
	config, err := network.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, missing("multusConfigFile " + path)
	}
	if err != nil {
		return "", nil, missing(fmt.Sprintf("a usable multusConfigFile: %v", err))
	}
	if !network.IsShim(config) {
		return "", nil, missing(fmt.Sprintf("a multusConfigFile whose type is the shim's; %s has another one", path))
	}
	if content, err = os.ReadFile(path); err != nil {
		return "", nil, missing(fmt.Sprintf("a usable multusConfigFile: %v", err))
	}
	var list struct {
		Plugins []struct {
			ClusterNetwork string `json:"clusterNetwork"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal(config, &list); err != nil || len(list.Plugins) == 0 {
		return "", nil, missing(fmt.Sprintf("a usable multusConfigFile: %s: clusterNetwork: want a string", path))
	}
	return list.Plugins[0].ClusterNetwork, content, nil
}
