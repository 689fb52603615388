// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"fmt"
)

// ReadFile reads a network configuration file of the node, of a single plugin
// or of a list, and returns it as a list with the plugins that libcni would
// append from the directory of the network's name (CNI spec 1.1, section 1).
func ReadFile(path string) ([]byte, error) {
	f, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	return f.config, nil
}

// Files lists the paths of a directory's network configuration files in the
// order in which a container runtime tries them. A directory that does not
// exist has none.
func Files(dir string) ([]string, error) { return configFiles(dir) }

// IsShim says whether a configuration hands over to a daemon like this one,
// which must not be its own default network.
func IsShim(config []byte) bool { return isShim(config) }

// forceVersion gives a network another cniVersion, in memory only: the file
// that it comes from is somebody else's (forceCNIVersion). libcni hands the
// list's version to every plugin.
func (s *source) forceVersion(version string) error {
	if version == "" {
		return nil
	}
	l, err := parseList(s.config, s.sel.Name)
	if err != nil {
		return invalid("%s: %v", s.what, err)
	}
	if l.fields["cniVersion"], err = json.Marshal(version); err != nil {
		return fmt.Errorf("cniVersion %q: %w", version, err)
	}
	// Of several versions libcni would take the highest one.
	delete(l.fields, "cniVersions")
	l.edited = true
	if s.config, _, err = l.encode(); err != nil {
		return invalid("%s: %v", s.what, err)
	}
	return nil
}
