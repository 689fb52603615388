// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/thicket-cni/thicket/pkg/memo"
)

// shims are plugins that hand over to a daemon like this one. One that becomes
// a delegate calls the daemon that waits for it, and acts as root on paths that
// its configuration names (SEC-09).
var shims = []string{"thicket-shim", "multus-shim", "multus"}

// IsShimName reports whether an executable of this name is a shim's.
func IsShimName(name string) bool { return slices.Contains(shims, name) }

func isShim(config []byte) bool {
	conf, err := libcni.NetworkConfFromBytes(config)
	return err == nil && len(conf.Plugins) > 0 && IsShimName(conf.Plugins[0].Network.Type)
}

// refuseShims refuses a configuration that names a shim as a plugin at any
// depth: a plugin executes its IPAM plugin, and some a whole delegate, which
// they find by the same search.
func refuseShims(config []byte) error {
	types, err := PluginTypes(config)
	if err != nil {
		return nil //nolint:nilerr // what is no JSON is refused with a better error
	}
	for _, t := range types {
		if IsShimName(t) {
			return fmt.Errorf("type %q is a shim, which hands over to a daemon like this one; it cannot be a delegate", t)
		}
	}
	return nil
}

// PluginTypes returns every value of a key "type" in a configuration, whatever
// its depth. Some of them are not types of plugins. The list is not to be changed.
func PluginTypes(config []byte) ([]string, error) {
	return pluginTypes.Of(config, func() ([]string, error) { return readTypes(config) })
}

var pluginTypes memo.Memo[[]string]

func readTypes(config []byte) ([]string, error) {
	var types []string
	var inside []scope
	dec := json.NewDecoder(bytes.NewReader(config))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return types, nil
		}
		if err != nil {
			return types, err
		}
		top := len(inside) - 1
		text, isText := token.(string)
		switch {
		case token == json.Delim('{') || token == json.Delim('['):
			if top >= 0 {
				inside[top].valueSeen()
			}
			inside = append(inside, scope{object: token == json.Delim('{')})
		case token == json.Delim('}') || token == json.Delim(']'):
			inside = inside[:top]
		case top >= 0 && inside[top].atKey():
			inside[top].key = text
			inside[top].keyed = true
		case top >= 0:
			// encoding/json, and so every plugin in Go, takes a key in any case.
			if isText && strings.EqualFold(inside[top].key, "type") {
				types = append(types, text)
			}
			inside[top].valueSeen()
		}
	}
}

// scope is an object or a list that a decoder is inside of.
type scope struct {
	object bool
	// keyed is true between a key and its value.
	keyed bool
	key   string
}

func (s *scope) atKey() bool { return s.object && !s.keyed }

func (s *scope) valueSeen() { s.keyed, s.key = false, "" }
