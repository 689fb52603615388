// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"

	"github.com/thicket-cni/thicket/pkg/foreign"
)

// maxConfig is the largest configuration file that is read, in bytes.
const maxConfig = 4 << 20

// errNoConfig is wrapped when the node has no file with the configuration.
var errNoConfig = errors.New("no network configuration")

// configFiles lists the configuration files of a directory in lexical order.
// A directory that does not exist has none.
func configFiles(dir string) ([]string, error) {
	files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
	slices.Sort(files)
	return files, err
}

// namedConfig returns the configuration in dir whose network has a name; a
// list goes before a single plugin's configuration (NPWG standard, section
// 3.4.1). Files that cannot be read or parsed are passed over, and said in the
// error when no other one has the name.
func namedConfig(dir, name string) ([]byte, error) {
	files, err := configFiles(dir)
	if err != nil {
		return nil, err
	}
	var found *configFile
	var broken []string
	for _, path := range files {
		f, err := readConfig(path)
		if err != nil {
			broken = append(broken, err.Error())
			continue
		}
		if f.name == name && (found == nil || found.single && !f.single) {
			found = f
		}
	}
	if found != nil {
		return found.config, nil
	}
	err = fmt.Errorf("%w named %q in %s", errNoConfig, name, dir)
	if len(broken) > 0 {
		err = fmt.Errorf("%w; passed over: %s", err, strings.Join(broken, "; "))
	}
	return nil, err
}

// firstConfig returns the first configuration in dir by file name. A shim's
// own configuration is passed over: the daemon would call itself without end.
// A first file that is broken is an error, because the next one is a network
// that nobody asked for.
func firstConfig(dir string) ([]byte, error) {
	files, err := configFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		f, err := readConfig(path)
		if err != nil {
			return nil, err
		}
		if !isShim(f.config) {
			return f.config, nil
		}
	}
	return nil, fmt.Errorf("%w in directory %s", errNoConfig, dir)
}

// configFile is a configuration file as a list.
type configFile struct {
	config []byte
	name   string // of the network
	single bool   // the file holds a single plugin's configuration
}

// readConfig reads a configuration file of any extension. Like libcni it
// appends the plugins in the directory of the network's name beside the file,
// unless loadOnlyInlinedPlugins is set (CNI spec 1.1, section 1).
func readConfig(path string) (*configFile, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	l, err := parseList(data, "")
	if err == nil {
		err = l.addPluginFiles(filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &configFile{single: l.single}
	if f.config, f.name, err = l.encode(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func readFile(path string) ([]byte, error) {
	data, err := foreign.ReadFile(path, maxConfig, foreign.FollowLinks)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errNoConfig, err)
	}
	return data, err
}

// addPluginFiles appends the plugins of dir/<network name>/*.conf.
func (l *list) addPluginFiles(dir string) error {
	var name string
	_ = json.Unmarshal(l.fields["name"], &name)
	if named := utils.ValidateNetworkName(name) == nil; l.single || !named {
		return nil // encode says what is wrong with the name
	}
	// As libcni reads it: a truth value, or one in quotes.
	if only := strings.ToLower(strings.Trim(string(l.fields["loadOnlyInlinedPlugins"]), `"`)); only == "true" {
		return nil
	}
	files, err := pluginFiles(filepath.Join(dir, name))
	if err != nil || len(files) == 0 {
		return err
	}
	l.plugins = append(l.plugins, files...)
	l.edited = true
	return nil
}

// pluginFiles are the plugins in a directory, as libcni would find them (CNI
// spec 1.1, section 1). libcni itself would wait for a pipe.
func pluginFiles(dir string) ([]json.RawMessage, error) {
	paths, err := libcni.ConfFiles(dir, []string{".conf"})
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var plugins []json.RawMessage
	for _, path := range paths {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		if _, err := libcni.NetworkPluginConfFromBytes(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		plugins = append(plugins, data)
	}
	return plugins, nil
}
