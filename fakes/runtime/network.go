// SPDX-License-Identifier: Apache-2.0

package runtime

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// known are the versions of CNI that the runtime knows.
var known = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// object is a JSON object whose values stay as they were written.
type object = map[string]json.RawMessage

// network is a network's configuration as it is used. It is recorded with a
// container, so that DEL has what ADD had.
type network struct {
	Name         string   `json:"name"`
	Version      string   `json:"cniVersion"`
	DisableCheck bool     `json:"disableCheck"`
	DisableGC    bool     `json:"disableGC"`
	Plugins      []object `json:"plugins"`
	// Inline is how many of the plugins stood in the network's file.
	Inline int `json:"inline"`
}

// networkFile is a network's configuration as its file has it.
type networkFile struct {
	network
	Versions []string `json:"cniVersions"`
	Inlined  bool     `json:"loadOnlyInlinedPlugins"`
}

// load reads the networks that the caller names.
func (c *call) load() ([]*network, error) {
	var all []*network
	for name := range strings.SplitSeq(c.networks, ",") {
		n, err := c.find(name)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// find reads a network's file, and its folder.
func (c *call) find(name string) (*network, error) {
	if !identifier.MatchString(name) && !c.has(anyNetworkName) {
		return nil, fmt.Errorf("the network name %q is not valid", name)
	}
	files, err := filepath.Glob(filepath.Join(c.confDir, "*.conflist"))
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var f networkFile
		if err := json.Unmarshal(data, &f); err != nil || f.Name != name {
			continue // another network's file, which may be damaged
		}
		if err := c.complete(&f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &f.network, nil
	}
	return nil, fmt.Errorf("%s has no network %q", c.confDir, name)
}

// complete chooses the version, and appends the folder's plugins.
func (c *call) complete(f *networkFile) error {
	if err := c.chooseVersion(f); err != nil {
		return err
	}
	f.Inline = len(f.Plugins)
	if !f.Inlined && !c.has(folderIgnored) {
		if err := c.appendFolder(f); err != nil {
			return err
		}
	}
	if len(f.Plugins) == 0 {
		return errors.New("the network has no plugins")
	}
	for _, p := range f.Plugins {
		if err := c.validType(typeOf(p)); err != nil {
			return err
		}
	}
	return nil
}

// chooseVersion takes the highest version that is known (CNI §1).
func (c *call) chooseVersion(f *networkFile) error {
	offered := f.Versions
	if c.has(cniVersionAlone) {
		offered = nil
	}
	if f.Version != "" {
		offered = append([]string{f.Version}, offered...)
	}
	if c.has(highestOffered) {
		f.Version = slices.MaxFunc(offered, cmp.Compare[string])
		return nil
	}
	best := ""
	for _, v := range offered {
		// The known versions compare as text.
		if slices.Contains(known, v) && v > best {
			best = v
		}
	}
	switch {
	case best != "":
		f.Version = best
	case c.has(anyVersion) && f.Version != "":
	default:
		return fmt.Errorf("none of the versions %v is known", offered)
	}
	return nil
}

// appendFolder appends the plugins of the network's folder.
func (c *call) appendFolder(f *networkFile) error {
	files, err := filepath.Glob(filepath.Join(c.confDir, f.Name, "*.conf"))
	if err != nil {
		return err
	}
	var more []object
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var p object
		if err := json.Unmarshal(data, &p); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		more = append(more, p)
	}
	if c.has(folderFirst) {
		f.Plugins = append(more, f.Plugins...)
	} else {
		f.Plugins = append(f.Plugins, more...)
	}
	return nil
}

// typeOf is a plugin's type, "" when it has none.
func typeOf(plugin object) string {
	var name string
	_ = json.Unmarshal(plugin["type"], &name) // "" is not a valid type
	return name
}

// validType refuses what is not a file's name (CNI §1).
func (c *call) validType(name string) error {
	path := strings.ContainsRune(name, '/') && !c.has(typeAsPath) && (!c.has(absoluteType) || !filepath.IsAbs(name))
	if path || name == "" || name == "." || name == ".." {
		return fmt.Errorf("the plugin's type %q is not valid", name)
	}
	return nil
}

// configuration is what a plugin gets: its object but for what belongs to the
// runtime, the network's name and version, and what is given (CNI §3).
func (c *call) configuration(n *network, plugin object, given object) ([]byte, error) {
	config := object{}
	for key, value := range plugin {
		if c.passes(key) {
			config[key] = value
		}
	}
	if config["name"] == nil || !c.has(pluginNames) {
		config["name"], _ = json.Marshal(n.Name)
	}
	if config["cniVersion"] == nil || !c.has(pluginNames) {
		config["cniVersion"], _ = json.Marshal(n.Version)
	}
	for key, value := range given {
		config[key] = value
	}
	return c.encode(config)
}

// passes reports whether a key of the file reaches the plugin.
func (c *call) passes(key string) bool {
	switch {
	case key == "prevResult":
		return c.has(prevResultOfFile)
	case key == "capabilities":
		return c.has(passesCapabilities)
	case key == "runtimeConfig", strings.HasPrefix(key, "cni.dev/"):
		return c.has(reservedPass)
	case c.has(dropsKeys):
		return slices.Contains([]string{"type", "ipam", "ipMasq", "dns"}, key)
	}
	return true
}

// runtimeConfig are the capability args that the plugin declares as true and the
// caller gave.
func (c *call) runtimeConfig(plugin object, given object) object {
	var declared map[string]bool
	_ = json.Unmarshal(plugin["capabilities"], &declared) // what cannot be read declares nothing
	config := object{}
	for name, value := range given {
		if on, listed := declared[name]; on || c.has(allCapabilityArgs) || listed && c.has(falseDeclares) {
			config[name] = value
		}
	}
	return config
}
