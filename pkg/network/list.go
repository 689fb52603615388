// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/thicket-cni/thicket/pkg/memo"
)

// list is a network configuration list that is being edited. Values stay raw
// JSON, so that nothing of a plugin's configuration is lost or rounded.
type list struct {
	raw     []byte // what encode returns as long as nothing was edited
	fields  map[string]json.RawMessage
	plugins []json.RawMessage
	edited  bool
	single  bool // it was made of a single plugin's configuration
}

// parseList reads a list, or makes one of a single plugin's configuration.
// name stands in for a missing network name. A missing cniVersion stays
// missing: it means 0.1.0 to libcni and to plugins (CNI spec, section 1).
func parseList(config []byte, name string) (*list, error) {
	config = bytes.TrimSpace(config)
	l := &list{raw: config}
	if err := json.Unmarshal(config, &l.fields); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if l.fields == nil {
		return nil, errors.New("it is null; want a JSON object with type or plugins")
	}
	if raw, ok := l.fields["plugins"]; ok {
		if err := json.Unmarshal(raw, &l.plugins); err != nil {
			return nil, errors.New("plugins: want a list of plugin configurations")
		}
	} else if _, single := l.fields["type"]; single {
		l.wrap(config)
	}
	if absent(l.fields["name"]) && name != "" {
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		l.fields["name"], l.edited = quoted, true
	}
	return l, nil
}

// wrap makes a list of a single plugin's configuration. As in libcni, only
// name and cniVersion move up: disableCheck is a key of lists.
func (l *list) wrap(config []byte) {
	single := l.fields
	l.fields = map[string]json.RawMessage{}
	for _, key := range []string{"cniVersion", "name"} {
		if v, ok := single[key]; ok {
			l.fields[key] = v
		}
	}
	l.plugins, l.edited, l.single = []json.RawMessage{config}, true, true
}

// absent says whether a value is missing, null or an empty string.
func absent(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null" || string(raw) == `""`
}

// encode returns the list and its network name. What it returns is accepted
// by libcni and by the rules for names and types.
func (l *list) encode() ([]byte, string, error) {
	if len(l.plugins) == 0 {
		return nil, "", errors.New("it has neither a type nor plugins; a network needs at least one plugin")
	}
	out := l.raw
	if l.edited {
		plugins, err := marshal(l.plugins)
		if err != nil {
			return nil, "", err
		}
		l.fields["plugins"] = plugins
		if out, err = marshal(l.fields); err != nil {
			return nil, "", err
		}
	}
	name, err := check(out)
	return out, name, err
}

// checkedNames are the names of networks whose lists check has passed.
var checkedNames memo.Memo[string]

// check looks at a list as libcni sees it and returns the network's name.
func check(config []byte) (string, error) {
	return checkedNames.Of(config, func() (string, error) { return checkNew(config) })
}

func checkNew(config []byte) (string, error) {
	conf, err := libcni.NetworkConfFromBytes(config)
	if err != nil {
		return "", errors.New(shown(strings.TrimPrefix(err.Error(), "error parsing configuration list: ")))
	}
	if err := utils.ValidateNetworkName(conf.Name); err != nil {
		return "", fmt.Errorf("name %q: want letters and digits, then also '_', '.' and '-' (CNI network name)", quote(conf.Name))
	}
	if _, _, _, err := version.ParseVersion(conf.CNIVersion); err != nil {
		return "", fmt.Errorf("cniVersion %q is not a version such as 1.0.0", quote(conf.CNIVersion))
	}
	for i, p := range conf.Plugins {
		// A plugin executes its IPAM plugin by the same search, so the same
		// rule holds for that type (SEC-02).
		if err := checkType(p.Network.Type); err != nil {
			return "", fmt.Errorf("plugin %d: type %w", i+1, err)
		}
		if t := p.Network.IPAM.Type; t != "" {
			if err := checkType(t); err != nil {
				return "", fmt.Errorf("plugin %d: ipam.type %w", i+1, err)
			}
		}
	}
	return conf.Name, nil
}

// KnownVersion reports whether the plugins of a configuration of this version can
// be spoken to. None is 0.1.0 (CNI spec, section 1).
func KnownVersion(cniVersion string) bool {
	return cniVersion == "" || slices.Contains(version.All.SupportedVersions(), cniVersion)
}

// checkType refuses a type that could name a file outside the plugin
// directories (SEC-02).
func checkType(t string) error {
	if strings.ContainsAny(t, "/\\\x00") || t == "." || strings.Contains(t, "..") {
		return fmt.Errorf("%q: want the bare file name of a plugin", quote(t))
	}
	return nil
}

// marshal encodes without escaping <, > and &, which would change bytes that
// are not ours.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// addArgs merges a selection's cni-args into args.cni of every plugin (NPWG
// standard, section 4.1.2.1). Other fields stay; of equal keys the
// selection's wins.
func (l *list) addArgs(cniArgs map[string]any, limits Limits) error {
	if len(cniArgs) == 0 {
		return nil
	}
	// Each plugin gets a copy: what that comes to is known before it is made.
	once, err := marshal(cniArgs)
	if err != nil {
		return fmt.Errorf("cni-args: %w", err)
	}
	if err := limits.config(len(l.raw) + len(once)*len(l.plugins)); err != nil {
		return fmt.Errorf("cni-args: %w", err)
	}
	for i, raw := range l.plugins {
		edited, err := withArgs(raw, cniArgs)
		if err != nil {
			return fmt.Errorf("plugin %d: %w", i+1, err)
		}
		l.plugins[i] = edited
	}
	l.edited = true
	return nil
}

func withArgs(plugin json.RawMessage, cniArgs map[string]any) (json.RawMessage, error) {
	conf, err := object(plugin, "configuration")
	if err != nil {
		return nil, err
	}
	args, err := object(conf["args"], "args")
	if err != nil {
		return nil, err
	}
	cni, err := object(args["cni"], "args.cni")
	if err != nil {
		return nil, err
	}
	for k, v := range cniArgs {
		if cni[k], err = marshal(v); err != nil {
			return nil, fmt.Errorf("cni-args %q: %w", quote(k), err)
		}
	}
	if args["cni"], err = marshal(cni); err != nil {
		return nil, err
	}
	if conf["args"], err = marshal(args); err != nil {
		return nil, err
	}
	return marshal(conf)
}

// object reads a JSON object one level deep; a missing one is empty.
func object(raw json.RawMessage, key string) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	if len(raw) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("%s: want a JSON object", key)
	}
	if m == nil { // null
		m = map[string]json.RawMessage{}
	}
	return m, nil
}
