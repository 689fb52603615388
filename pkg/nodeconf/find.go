// SPDX-License-Identifier: Apache-2.0

package nodeconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/network"
)

// ownPrefix begins the names of files that no default network is looked for
// in: this daemon's, and those of other Multus installations.
const ownPrefix = "00-multus"

// master is the default network's configuration as it was found.
type master struct {
	path string
	// name is the network's; capabilities are those that at least one of its
	// plugins declares, as the runtime needs to know them.
	name         string
	capabilities map[string]bool
}

// missing is why there is no default network, worded to follow "waiting for".
type missing string

// Error implements error.
func (m missing) Error() string { return "waiting for " + string(m) }

// findMaster returns the configuration named by file, or the first one in dir
// by file name that is not a shim's. Its error is a missing: one that is
// broken is waited for, because the next one is a network that nobody asked
// for.
func findMaster(dir, file string) (*master, error) {
	if file != "" {
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		m, err := readMaster(file)
		if err == nil && m == nil {
			return nil, missing(fmt.Sprintf("the default network's configuration; %s, which multusMasterCNI names, is a shim's own", file))
		}
		return m, err
	}
	files, err := network.Files(dir)
	if err != nil {
		return nil, missing(fmt.Sprintf("the default network's configuration: %v", err))
	}
	for _, path := range files {
		if strings.HasPrefix(filepath.Base(path), ownPrefix) {
			continue
		}
		if m, err := readMaster(path); m != nil || err != nil {
			return m, err
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, missing(fmt.Sprintf("the default network's configuration; its directory is not there: %v", err))
	}
	return nil, missing(fmt.Sprintf("the default network's configuration, a .conf, .conflist or .json file in %s", dir))
}

// readMaster reads a configuration; it returns nil for a shim's.
func readMaster(path string) (*master, error) {
	config, err := network.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing("the default network's configuration " + path)
	}
	if err != nil {
		return nil, missing(fmt.Sprintf("a usable default network's configuration: %v", err))
	}
	if network.IsShim(config) {
		return nil, nil //nolint:nilnil // not an error, and not a default network either
	}
	return masterOf(path, config)
}

// masterOf reads what the generated configuration needs of a network's, which
// source names.
func masterOf(source string, config []byte) (*master, error) {
	list, err := libcni.NetworkConfFromBytes(config)
	if err != nil {
		return nil, missing(fmt.Sprintf("a usable default network's configuration: %s: %v", source, err))
	}
	m := &master{path: source, name: list.Name, capabilities: map[string]bool{}}
	for _, p := range list.Plugins {
		for capability, enabled := range p.Network.Capabilities {
			if enabled {
				m.capabilities[capability] = true
			}
		}
	}
	return m, nil
}
